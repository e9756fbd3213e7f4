"""A line that says what to mend, and checks that hang or fail."""

import threading

import pytest

from afdcd.commands.doctor.finding import Finding, guarded, merged
from afdcd.config import UserError


def test_nodes_that_found_the_same_share_a_line() -> None:
    found = merged(
        [
            Finding("node", "2 CPU", where=("a",)),
            Finding("node", "8 CPU", where=("b",)),
            Finding("node", "2 CPU", where=("c",)),
            Finding("node", "2 CPU", "end it", where=("d",)),
        ]
    )
    assert [str(finding) for finding in found] == [
        "ok    node on a, c: 2 CPU",
        "ok    node on b: 8 CPU",
        "MEND  node on d: 2 CPU; end it",
    ]


def test_a_line_of_many_nodes_stays_a_line() -> None:
    many = tuple(f"n{i}" for i in range(900))
    assert str(Finding("node", "2 CPU", where=many)) == (
        "ok    node on n0, n1, n2, n3, n4 and 895 more: 2 CPU"
    )


def test_a_check_that_hangs_is_a_line() -> None:
    never = threading.Event()

    def silent() -> list[Finding]:
        """Study database."""
        never.wait()
        return []

    (found,) = guarded(silent, patience=0.05)
    never.set()
    assert str(found).startswith("MEND  study database: no answer; ")


def test_what_a_person_can_mend_is_a_line_and_a_defect_is_none() -> None:
    def ill() -> list[Finding]:
        """MLflow."""
        raise UserError("start it")

    def defect() -> list[Finding]:
        raise ZeroDivisionError

    assert str(guarded(ill)[0]) == "MEND  MLflow: not usable; start it"
    with pytest.raises(ZeroDivisionError):
        guarded(defect)
