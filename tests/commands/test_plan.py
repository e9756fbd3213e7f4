"""`afdcd tune --check` from its words to its exit status."""

from pathlib import Path

import pytest

from afdcd import tune
from afdcd.cli import run
from afdcd.space_files import space_path

QUICKSTART = str(space_path("quickstart"))


def checked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = run(tune.main, ["--check", *words])
    told = capsys.readouterr()
    return status, told.out, told.err


@pytest.fixture(autouse=True)
def _storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "storage"))


def test_it_prints_the_plan_and_makes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, err = checked(capsys, QUICKSTART, "--cluster", "2xCPU")
    assert (status, err) == (0, "")
    for line in (
        "study quickstart on 2 x CPU, 2 runs at once",
        "proof       9     full runs: 3 settings x 3 seeds",
        "memory of one worker in MiB, at the settings that need most",
        "hours of one run",
        "CPU-hours, in all",
        "hours of the clock",
        "Hours are reckoned from arithmetic and data sheets",
    ):
        assert line in out
    assert not (tmp_path / "storage").exists()


def test_an_error_that_is_certain_ends_it_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = checked(capsys, QUICKSTART, "--cluster", "1xH100", "resources.workers=2")
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert "quickstart.yaml:38: resources.workers: a run needs 2 workers" in line
    assert "no place for a run" in out


def test_a_budget_stands_in_the_plan_and_is_held_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = (QUICKSTART, "--cluster", "2xCPU", "study.budget.wall_clock=1h")
    status, out, _ = checked(capsys, *words)
    assert status == 0
    assert "study.budget.wall_clock  1 h" in out
    status, _, err = checked(capsys, *words[:-1], "study.budget.wall_clock=30s")
    assert status == 2
    assert "study.budget.wall_clock: 0.00833333 h cannot pay for references " in err


@pytest.mark.parametrize("words", [["--measure"], ["--cluster", "8xH100"]])
def test_what_is_about_a_plan_starts_no_study(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tune.main, [QUICKSTART, *words]) == 2
    assert "--cluster and --measure are about a plan: add --check" in capsys.readouterr().err


def test_measuring_is_for_this_machine_alone(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = checked(capsys, QUICKSTART, "--measure", "--cluster", "8xH100")
    assert (status, err.count("\n")) == (2, 1)
    assert "--measure times this machine; leave out --cluster" in err
