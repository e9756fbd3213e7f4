"""A database that is away for a while."""

import pytest
from optuna.exceptions import StorageInternalError

from afdcd.config import UserError
from afdcd.search import patience


def test_a_hiccup_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(patience, "_sleep", slept.append)
    answers = iter([StorageInternalError("locked"), StorageInternalError("locked"), 7])

    def call() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patience.patiently(call) == 7
    assert slept == [0.5, 1.0]


def test_a_minute_of_silence_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(patience, "_sleep", slept.append)

    def call() -> None:
        raise StorageInternalError("connection refused\nand more")

    with pytest.raises(UserError, match=r"not answered for 60 s \(connection refused\)"):
        patience.patiently(call)
    assert 60 <= sum(slept) < 70


def test_other_errors_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_sleep", None)

    def call() -> None:
        raise ValueError

    with pytest.raises(ValueError):
        patience.patiently(call)


def test_what_can_be_asked_later_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_sleep", None)  # would fail if it were called
    answers = iter([StorageInternalError("refused"), "word"])

    def call() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert patience.briefly(lambda: patience.patiently(call), "") == ""
    assert patience.briefly(lambda: patience.patiently(call), "") == "word"
