"""`afdcd doctor`: a line for each thing, and a remedy where one is needed."""

import pytest

from afdcd.commands import doctor
from afdcd.commands.doctor import Finding
from afdcd.config import UserError


def _well() -> list[Finding]:
    """Shared memory."""
    return [Finding("shared memory", "8 GiB")]


def _ill() -> list[Finding]:
    """Study database."""
    raise UserError("AFDCD_STUDY_DB: does not answer; start it")


def test_what_cannot_be_used_is_told_with_its_remedy_and_the_rest_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", (_ill, _well))
    assert doctor.execute() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "MEND  study database: not usable; AFDCD_STUDY_DB: does not answer; start it",
        "ok    shared memory: 8 GiB",
    ]
    monkeypatch.setattr(doctor, "CHECKS", (_well,))
    assert doctor.execute() == 0


def test_no_secret_and_no_password_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", ())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AFDCD_STUDY_DB", "postgresql://me:s3cret@host/db")
    doctor.execute()
    printed = capsys.readouterr().out
    assert "AWS_SECRET_ACCESS_KEY=(set)" in printed
    assert "AFDCD_STUDY_DB=postgresql://host/db" in printed
    assert "s3cret" not in printed


def test_this_machine_is_looked_at() -> None:
    found = {finding.what for check in doctor.CHECKS[:5] for finding in check()}
    assert found >= {"machine", "GPU", "storage", "study database", "MLflow"}
