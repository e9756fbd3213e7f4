"""What is kept of runs that have ended, and what `afdcd study clean` takes."""

from pathlib import Path

import pytest

from afdcd import storage, study
from afdcd.config import UserError
from afdcd.search.alone import finished_before
from afdcd.search.housekeeping import Housekeeper, clean, sweep, to_be_cleaned
from afdcd.search.kept import kept_study
from afdcd.training import journal
from afdcd.training.job import Failure, Job, RunResult, result_of
from tests.examples import job
from tests.search.drivers import another_driver
from tests.search.studies import LENGTH, lost, opened, pause, report, run_to_the_end

FILES = ("train/iteration_000040/state.safetensors", "train/iteration_000040/state.json")
STAYS = ("student.safetensors", "panel.png", "journal/00000040.json", "pulse.json")


def filled(folder: str) -> None:
    for name in (*FILES, *STAYS):
        storage.write_bytes(storage.join(folder, name), b"x" * 600)


def left(folder: str) -> set[str]:
    return set(storage.walk(folder))


@pytest.mark.parametrize(
    ("outcome", "goes"),
    [("completed", True), ("infeasible", True), ("paused", False), ("lost", False)],
)
def test_checkpoints_go_with_the_runs_that_need_none(
    tmp_path: Path, outcome: str, goes: bool
) -> None:
    given = job("a", folder=str(tmp_path))
    filled(given.folder)
    housekeeper = Housekeeper()
    housekeeper.ended(given, RunResult(outcome))  # type: ignore[arg-type]
    housekeeper.close()
    assert left(given.folder) == ({*STAYS} if goes else {*STAYS, *FILES})


def test_a_store_that_refuses_ends_no_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(uri: str) -> None:
        raise UserError(f"{uri}: no permission")

    monkeypatch.setattr(storage, "remove_folder", refuse)
    housekeeper = Housekeeper()
    housekeeper.ended(job("a", folder=str(tmp_path)), RunResult("completed"))
    housekeeper.close()


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """A study with a run of every kind, each with all its files."""
    monkeypatch.setenv("AFDCD_STUDY_DB", f"sqlite:///{tmp_path}/study.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    made = opened(tmp_path)
    found = [run_to_the_end(made, 0.5), pause(made, 0.1)]
    found.append(made.next())
    made.end(found[-1], result_of(LENGTH, None, Failure(failed="nan", fault="setting")))
    found.append(made.next())
    made.end(found[-1], lost("row 3", "data"))
    found.append(made.next())  # runs
    root = kept_study("s").folder
    found = [one.updated(folder=storage.join(root, one.folder)) for one in found]
    for one in found:
        filled(one.folder)
    storage.write_bytes(storage.join(root, "tune", "events"), b"x" * 100)
    return found


def test_clean_says_what_goes_and_keeps_the_record(
    jobs: list[Job], capsys: pytest.CaptureFixture[str]
) -> None:
    whole, kept = {*STAYS, *FILES}, {*STAYS}
    assert study.main(["clean", "s", "--dry-run"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[-1] for line in told[:2]] == [
        "checkpoint of trial 0, which is completed",
        "checkpoint of trial 1, paused at 10: if it is taken up again, it begins anew",
    ]
    assert told[0].startswith("   1.2 kB  ")
    assert told[-3].endswith("stays: weights, pictures and journals, the record of 5 runs")
    assert told[-2].endswith("with the checkpoint of trial 4, which goes on")
    assert told[-1] == "study 's': 4.9 kB would be removed"
    assert [left(one.folder) for one in jobs] == [whole] * 5
    assert study.main(["clean", "s"]) == 0
    assert [left(one.folder) for one in jobs] == [*[kept] * 4, whole]
    assert list(to_be_cleaned(kept_study("s"))) == []
    clean([])


def test_what_a_killed_driver_left_is_swept_and_nothing_else(jobs: list[Job]) -> None:
    sweep(kept_study("s"))
    whole, kept = {*STAYS, *FILES}, {*STAYS}
    # completed, paused, infeasible, given up, running
    assert [left(one.folder) for one in jobs] == [kept, whole, kept, whole, whole]


def test_nothing_is_cleaned_under_a_driver_that_lives(jobs: list[Job], tmp_path: Path) -> None:
    with (
        another_driver(f"sqlite:///{tmp_path}/study.db", "study s"),
        pytest.raises(UserError, match="study s is being run by"),
    ):
        study.main(["clean", "s"])
    assert left(jobs[0].folder) == {*STAYS, *FILES}


def test_a_run_whose_weights_and_last_report_are_there_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = job("a", folder=str(tmp_path))
    last = given.config.training.iterations
    assert finished_before(given) is None
    journal.write(given.folder, report(last - 1, 0.4))
    assert finished_before(given) is None
    journal.write(given.folder, report(last, 0.5))
    trouble = ["gone"]
    monkeypatch.setattr(
        "afdcd.search.alone.trouble_with", lambda weights, identity, prepares: trouble[0] or None
    )
    assert finished_before(given) is None
    trouble[0] = ""
    done = finished_before(given)
    assert done is not None
    assert (done.outcome, done.score.value) == ("completed", 0.5)
