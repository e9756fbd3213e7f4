"""The lines a person reads while a study runs."""

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from afdcd.search import progress
from afdcd.search.progress import Progress
from afdcd.search.say import say
from afdcd.search.watched import duration
from afdcd.training import journal, pulse
from afdcd.training.job import Failure, Job, Report, RunResult, result_of
from afdcd.training.pulse import Pulse
from afdcd.training.resume import DRAINED
from tests.examples import job, report, score
from tests.pulses import pulse_of
from tests.training.test_resume import write_checkpoint


class Watching:
    """A progress without threads, and a clock and pulses that are moved by hand."""

    def __init__(self, **options: Any) -> None:
        self.now = 0.0
        self.pulses: dict[str, Pulse] = {}
        options = {"clock": lambda: self.now, "threads": False} | options
        self.progress = Progress(**options)

    def pulse(self, name: str, **changes: Any) -> None:
        self.pulses[name] = pulse_of(**{"at": self.now, "started": 0.0, **changes})

    def run(self, name: str, seconds: float, outcome: Any = "completed") -> None:
        self.progress.started(job(name))
        self.now += seconds
        self.progress.ended(job(name), RunResult(outcome))

    def quiet(self, seconds: int) -> None:
        """Time passes without an event."""
        for _ in range(seconds):
            self.now += progress.TICK
            self.progress.look()
            self.progress.tick()


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: list[Watching] = []

    def make(**options: Any) -> Watching:
        made.append(Watching(**options))
        monkeypatch.setattr(pulse, "read", made[-1].pulses.get)
        return made[-1]

    yield make
    for one in made:
        one.progress.close()


def at(name: str, **changes: Any) -> Job:
    """A job whose folder is its name."""
    return job(name, folder=name, **changes)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.partition("] ")[2] for line in capsys.readouterr().out.splitlines()]


def test_report_shows_trial_score_best_and_hours(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress((score(0.3), "trial 9"))
    progress.reported(job("a"), report(2))
    progress.reported(job("a"), report(4, 0.4, seconds=3600.0))
    progress.reported(job("b"), report(2))
    assert lines(capsys) == [
        "a afdcd  iteration 2/4  mIoU 25.00 %  best 30.00 % (trial 9)  1.000 GPU-hours",
        "a afdcd  iteration 4/4  mIoU 40.00 %  best 40.00 % (a afdcd)  2.000 GPU-hours",
        "b afdcd  iteration 2/4  mIoU 25.00 %  best 40.00 % (a afdcd)  3.000 GPU-hours",
    ]


@pytest.mark.parametrize("told", [report(2, 0.9), report(4, math.nan), report(4, 0.2)])
def test_what_is_early_or_no_number_or_worse_is_never_the_best(
    capsys: pytest.CaptureFixture[str], told: Report
) -> None:
    Progress((score(0.3), "trial 9")).reported(job("a"), told)
    assert "best 30.00 % (trial 9)" in lines(capsys)[0]


def test_a_further_seed_is_never_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A trial is ranked by the seed that it began with; else the luckiest of many would lead."""
    progress = Progress((score(0.3), "trial 9"))
    progress.reported(job("a").updated(repeats="trial-0009"), report(4, 0.9))
    assert "best 30.00 % (trial 9)" in lines(capsys)[0]


def test_hours_go_on_from_those_of_earlier_drivers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Progress(before=6.5).reported(job("a"), report(2, device="cpu"))
    assert lines(capsys) == ["a afdcd  iteration 2/4  mIoU 25.00 %  7.500 CPU-hours"]


def test_end_is_told_with_its_cause_unless_all_went_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = Progress()
    progress.ended(job("a"), RunResult("completed"))
    progress.ended(job("a"), RunResult("paused"))
    progress.ended(job("a"), RunResult("lost", None, "no memory", "memory"))
    assert lines(capsys) == ["a afdcd paused", "a afdcd lost: no memory"]


def test_a_drained_run_is_told_with_its_node_and_where_it_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    moved = job("a", folder=str(tmp_path), training__iterations=160, training__validate_every=80)
    progress = Progress()
    why = Failure(failed="node 10.0.0.3 is being drained", fault="drain", iteration=73)
    progress.ended(moved, result_of(160, report(40), why))
    write_checkpoint(tmp_path, 73, DRAINED)
    progress.started(moved)
    progress.ended(moved, result_of(160, None, why.updated(iteration=0, failed="too late")))
    progress.close()
    assert lines(capsys) == [
        "node 10.0.0.3 is being drained: a afdcd saved at iteration 73 of 160, goes on elsewhere",
        "a afdcd goes on after iteration 73 of 160",
        "a afdcd lost: too late",
    ]


def test_between_two_reports_there_is_news_of_every_run(
    watch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watch()
    changes = {"training__iterations": 160, "training__validate_every": 80}
    for name in ("trial 1", "trial 2", "trial 3", "trial 4"):
        watching.progress.started(at(name, **changes))
    watching.quiet(1)
    watching.pulse("trial 1", iteration=63, images_per_second=41.4, loss=1.8321)
    watching.pulse("trial 2", phase="starting", iteration=0)
    watching.pulse("trial 3", phase="validating", iteration=80, images_per_second=8.04)
    capsys.readouterr()
    watching.quiet(13)
    assert lines(capsys) == []
    watching.quiet(1)
    assert lines(capsys) == [
        "trial 1 afdcd  iteration 63/160  41 images/s  loss 1.832  ETA 0:09   "
        "trial 2 afdcd starting   "
        "trial 3 afdcd  iteration 80/160  validating  ETA 0:40   "
        "trial 4 afdcd starting"
    ]


def test_never_more_than_fifteen_seconds_without_a_line_nor_one_more_often(
    watch: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watching = watch()
    said: list[float] = []
    monkeypatch.setattr(
        progress, "print", lambda *_, **__: said.append(watching.now), raising=False
    )
    watching.progress.started(at("a"))
    watching.quiet(40)
    say("something else")
    watching.quiet(40)
    gaps = [later - sooner for sooner, later in pairwise(said)]
    assert max(gaps) <= 15
    assert sorted(gaps)[1:] == [15] * 4  # the first is that of the other line


def test_nothing_is_told_once_nothing_runs(watch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in ("ended", "interrupted", "close"):
        watching = watch()
        watching.progress.started(at("a"))
        if ending == "ended":
            watching.progress.ended(at("a"), RunResult("completed"))
        else:
            getattr(watching.progress, ending)()
        capsys.readouterr()
        watching.quiet(60)
        assert lines(capsys) == [], ending


def test_a_pulse_of_an_earlier_attempt_is_not_taken_for_this_ones(
    watch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watch()
    watching.pulse("a", iteration=3, at=-50.0)
    watching.progress.started(at("a"))
    watching.quiet(15)
    watching.pulse("a", iteration=2)
    watching.quiet(15)
    assert lines(capsys)[1:] == ["a afdcd starting", "a afdcd  iteration 2/4"]


def test_a_run_of_which_nothing_can_be_read_keeps_its_last_place(
    watch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watch()
    watching.pulse("a", iteration=1, at=-50.0)  # of an earlier attempt
    watching.progress.started(at("a"))
    watching.quiet(1)
    watching.pulse("a", iteration=2)
    watching.quiet(1)
    watching.pulses.clear()
    watching.quiet(13)
    assert lines(capsys)[-1] == "a afdcd  iteration 2/4"


def test_a_run_takes_as_long_as_it_took_with_its_validations(
    watch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watch()
    watching.progress.started(at("a"))
    watching.quiet(1)
    watching.pulse("a", iteration=3, images_per_second=1000.0)
    watching.progress.reported(at("a"), report(2, seconds=120.0))
    watching.quiet(15)
    assert lines(capsys)[-1] == "a afdcd  iteration 3/4  1000 images/s  ETA 1:00"


def test_many_runs_are_counted(watch: Any, capsys: pytest.CaptureFixture[str]) -> None:
    watching = watch()
    for number in range(9):
        watching.progress.started(at(f"run {number}"))
    watching.quiet(15)
    assert lines(capsys)[-1].split("   ")[3:] == ["run 3 afdcd starting", "and 5 more"]


def test_study_says_how_long_it_will_take_by_its_completed_runs(
    watch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watch(wanted=lambda: 10, done=2)
    watching.progress.started(at("x"))
    watching.progress.started(at("y"))
    watching.quiet(15)
    assert lines(capsys)[-1].endswith("   study 2/10")  # nothing is known yet
    for name in ("x", "y"):
        watching.progress.ended(at(name), RunResult("infeasible"))
    for name, seconds in {"a": 60.0, "b": 100.0, "c": 500.0}.items():
        watching.run(name, seconds)
    watching.run("d", 1.0, "lost")  # is run again
    watching.progress.started(at("z"))
    watching.quiet(15)
    assert watching.progress.finished == 7
    assert lines(capsys)[-1].endswith("   study 7/10  ETA 2:30")  # 3 of 100 s, two at a time


def test_each_end_in_a_study_says_how_far_it_is(
    watch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """A busy study has no quiet quarter of a minute."""
    watching = watch(wanted=lambda: 3)
    watching.run("a", 60.0)
    watching.run("b", 60.0, "paused")
    assert lines(capsys)[1::2] == [
        "a afdcd completed   study 1/3  ETA 2:00",
        "b afdcd paused   study 2/3  ETA 1:00",
    ]


def test_a_run_that_was_paused_and_taken_up_again_is_one(watch: Any) -> None:
    watching = watch(wanted=lambda: 3)
    for outcome in ("lost", "killed", "paused", "completed"):
        watching.run("a", 1.0, outcome)
    assert watching.progress.finished == 1


def test_durations_as_people_write_them() -> None:
    seconds = {21.4: "0:21", 7384: "2:03:04", 86400: "24:00:00", 273600: "3 d 4 h"}
    assert {value: duration(value) for value in seconds} == seconds


def test_a_run_that_goes_on_is_not_said_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = job("a", folder=str(tmp_path))
    progress = Progress(threads=False)
    progress.started(given)
    for iteration in (2, 10):
        journal.write(given.folder, report(iteration, 0.5))
    write_checkpoint(tmp_path, 2)  # the later one was being saved when the machine was gone
    progress.started(given)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"starts ({given.config.training.iterations} iterations)")
    assert second.endswith(f"goes on after iteration 2 of {given.config.training.iterations}")
    progress.close()
