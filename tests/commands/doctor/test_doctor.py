"""`afdcd doctor`: a line for each thing, and a remedy where one is needed."""

import threading
from pathlib import Path

import pytest
import torch

from afdcd.commands import doctor
from afdcd.commands.doctor import here
from afdcd.commands.doctor.finding import Finding, guarded
from afdcd.config import UserError
from afdcd.doctor import main
from afdcd.environment import VARIABLES


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "cluster", lambda *_: [])


def _well() -> list[Finding]:
    """Shared memory."""
    return [Finding("shared memory", "8 GiB")]


def _ill() -> list[Finding]:
    """Study database."""
    raise UserError("AFDCD_STUDY_DB: does not answer; start it")


def test_what_cannot_be_used_is_told_with_its_remedy_and_the_rest_is_still_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "HERE", (_ill, _well))
    assert doctor.execute() == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == [
        "MEND  study database: not usable; AFDCD_STUDY_DB: does not answer; start it",
        "ok    shared memory: 8 GiB",
    ]
    monkeypatch.setattr(doctor, "HERE", (_well,))
    assert doctor.execute() == 0


def test_a_machine_that_keeps_no_bytecode_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = tmp_path / "torch.pyc"
    monkeypatch.setattr(torch.__spec__, "cached", str(kept))
    (found,) = here.bytecode()
    assert "compiles all that it imports" in found.found
    assert found.mend.startswith("unset PYTHONDONTWRITEBYTECODE, or call `python -m compileall")
    kept.write_bytes(b"")
    assert here.bytecode() == [Finding("bytecode", "kept")]


def test_no_secret_and_no_password_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "HERE", ())
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("AFDCD_STUDY_DB", "postgresql://me:s3cret@host/db")
    doctor.execute()
    printed = capsys.readouterr().out
    assert "AWS_SECRET_ACCESS_KEY=(set)" in printed
    assert "AFDCD_STUDY_DB=postgresql://host/db" in printed
    assert "s3cret" not in printed


def test_every_secret_of_the_environment_is_hidden(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "HERE", ())
    secret = {v.name for v in VARIABLES if v.secret}
    assert secret >= {"PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN"}
    for name in secret:
        monkeypatch.setenv(name, f"value-of-{name}")
    doctor.execute()
    assert "value-of-" not in capsys.readouterr().out


def test_it_ends_although_a_check_still_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyarrow, asked for a store that does not answer, held up the end for two minutes."""
    never, left = threading.Event(), []

    def silent() -> list[Finding]:
        """Storage."""
        never.wait()
        return []

    monkeypatch.setattr(doctor, "HERE", (silent,))
    monkeypatch.setattr(doctor, "guarded", lambda check: guarded(check, patience=0.05))
    monkeypatch.setattr(doctor.os, "_exit", left.append)
    doctor.execute()
    never.set()
    assert left == [1]


def test_this_machine_is_looked_at() -> None:
    found = {finding.what for check in doctor.HERE for finding in check()}
    assert found >= {"machine", "GPU", "storage", "study database", "MLflow"}


def test_nothing_stays_in_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    (found,) = here.storage_here()
    assert "can be written; writes" in found.found
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--from-worker"], ["--from-worker", "--data", "DATA"]])
def test_its_words_reach_the_checks(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, object]] = []
    monkeypatch.setattr(doctor, "execute", lambda **given: said.append(given) or 0)
    assert main(words) == 0
    assert said == [{"from_worker": True, "data": "DATA" if "DATA" in words else None}]
