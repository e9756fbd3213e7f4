"""The loop between a source and Tune, fed by hand with what Tune would say."""

import math
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.tune.search import Searcher

from afdcd.config import UserError
from afdcd.search.alone import OneRun
from afdcd.search.capacity import Demand
from afdcd.search.loop import Loop
from afdcd.search.tune_asks import Listening, Proposing, Starting, Stopping
from afdcd.training import pulse
from afdcd.training.job import Failure, Job, Report, RunResult, said
from tests.examples import job
from tests.pulses import pulse_of
from tests.search.studies import report

THREE = Demand({"CPU": 3.0})
TUNE = {"pid": 7, "time_total_s": 1.5, "config": {}, "done": False}  # what Tune adds to a report
FULL = {**said(report(4, 0.5)), **TUNE}
EARLY = {**said(report(2, 0.2)), **TUNE}
NO_SCORE = {**said(report(4, math.nan)), **TUNE}
DIVERGED = {**said(Failure(failed="loss term kd is not finite", fault="setting")), **TUNE}
BAD_ROW = {**said(Failure(failed="row 3", fault="data")), **TUNE}


@dataclass
class Source:
    """Gives `jobs`, pauses what scores below `bar`, and remembers what it is told."""

    jobs: list[Job] = field(default_factory=list)
    bar: float = 0.0
    told: list[Any] = field(default_factory=list)
    error: UserError | None = None

    def stirred(self) -> bool:
        return bool(self.jobs)

    def next(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def report(self, job: Job, report: Report) -> bool:
        if self.error:
            raise self.error
        self.told.append((job.name, report.iteration, report.score.value))
        return report.score.value < self.bar

    def end(self, job: Job, result: RunResult) -> None:
        self.told.append((job.name, result.outcome, result.cause))
        if result.outcome == "lost":
            self.jobs.append(job)


class Watcher:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def started(self, job: Job) -> None:
        self.heard.append(("started", job.name))

    def reported(self, job: Job, report: Report) -> None:
        self.heard.append(("reported", job.name, report.iteration))

    def ended(self, job: Job, result: RunResult) -> None:
        self.heard.append(("ended", job.name, result.outcome))

    def interrupted(self) -> None:
        self.heard.append("interrupted")


class Fed:
    """A loop with Tune's four ends in hand."""

    def __init__(self, source: Any) -> None:
        self.watcher, self.stop = Watcher(), threading.Event()
        self.lease: Any = SimpleNamespace(lost=threading.Event(), error=lambda: UserError("taken"))
        cluster: Any = SimpleNamespace(
            api="", stopping=self.stop, uses_gpu=lambda _: False, demand=lambda _: THREE
        )
        self.loop = Loop(source, [self.watcher], cluster, self.lease)
        self.loop._reclaimer = SimpleNamespace(look=lambda: None)  # type: ignore[assignment]
        self.waiting: list[str] = []
        self.loop._waits = SimpleNamespace(look=self._look, pending=lambda _: False)  # type: ignore[assignment]
        self.searcher, self.scheduler = Proposing(self.loop), Listening(self.loop)
        self.callback, self.stopper = Starting(self.loop), Stopping(self.loop)

    def _look(self, runs: dict[str, tuple[Job, Demand]]) -> None:
        self.waiting = [job.name for job, demand in runs.values() if demand == THREE]

    def start(self, trial: str = "t0") -> Any:
        config = self.searcher.suggest(trial)
        if isinstance(config, dict):
            self.callback.on_trial_start(0, [], SimpleNamespace(trial_id=trial))
        return config

    def say(self, result: dict[str, Any], trial: str = "t0") -> str:
        return self.scheduler.on_trial_result(None, SimpleNamespace(trial_id=trial), result)

    def end(self, trial: str = "t0", error: bool = False) -> None:
        self.searcher.on_trial_complete(trial, {}, error)


def test_who_wants_it_stopped_ends_it_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    fed = Fed(Source([job("a"), job("b")]))
    fed.start()
    fed.loop._stop_wanted = lambda: "ann"
    fed.loop.tick()
    assert "stopped by ann; the same command goes on" in capsys.readouterr().out
    assert fed.watcher.heard[1:] == [("ended", "a", "killed"), "interrupted"]
    assert fed.stopper.stop_all()
    assert fed.start("t1") == Searcher.FINISHED or fed.start("t1") is None


def test_what_a_run_says_after_it_was_told_to_end_is_nobodys_any_more() -> None:
    fed = Fed(source := Source([job("a")]))
    fed.start()
    fed.loop._stop_wanted = lambda: "ann"
    fed.loop.tick()
    told = list(source.told)
    assert fed.say(EARLY) == fed.scheduler.STOP  # the study does not know the run any more
    assert source.told == told


def test_what_is_asked_for_later_is_begun_while_another_run_lives() -> None:
    source = Source([job("a")])
    fed = Fed(source)
    fed.start()
    assert fed.start("t1") is None
    source.jobs.append(job("b"))
    assert fed.start("t1") is None  # it is asked every few seconds, not all the time
    fed.loop.tick()
    assert isinstance(fed.start("t1"), dict)


def test_an_end_that_could_not_be_recorded_is_told_to_nobody() -> None:
    class Away(Source):
        def end(self, job: Job, result: RunResult) -> None:
            raise UserError("the study database has not answered")

    fed = Fed(Away([job("a")]))
    fed.start()
    fed.say(FULL)
    fed.end()
    assert fed.watcher.heard[-1][0] == "reported"  # else its checkpoint would be removed
    assert "has not answered" in str(fed.loop.error)


def test_a_run_that_hangs_is_ended_and_goes_on_as_a_lost_one(tmp_path: Path) -> None:
    given = job("a", folder=str(tmp_path))
    fed = Fed(source := Source([given]))
    fed.start()
    fed.say(EARLY)
    killed: list[str] = []

    def end() -> None:
        killed.append("t0")
        fed.end()

    fed.loop.added("t0", end)
    fed.loop._watchdog.hung = lambda: {"t0": "no sign of life for 30:10"}  # type: ignore[method-assign]
    fed.loop.tick()
    fed.loop._watchdog.hung = dict  # type: ignore[method-assign]
    assert killed == ["t0"]
    assert source.told[-1] == ("a", "lost", "no sign of life for 30:10")
    assert isinstance(fed.start("t1"), dict)  # it goes on


def test_a_driver_that_was_taken_over_says_nothing_of_its_runs() -> None:
    fed = Fed(source := Source([job("a")]))
    fed.start()
    fed.lease.lost.set()
    fed.loop.tick()
    assert str(fed.loop.error) == "taken"
    assert fed.watcher.heard == [("started", "a")]
    assert source.told == []
    assert fed.stopper.stop_all()


@pytest.mark.parametrize(
    ("result", "died", "outcome", "cause"),
    [
        (FULL, False, "completed", ""),
        (DIVERGED, False, "infeasible", "loss term kd is not finite"),
        (BAD_ROW, False, "lost", "row 3"),
        (EARLY, True, "lost", "its process died; see the Ray logs"),
        (EARLY, False, "lost", "it ended without a word; see the Ray logs"),
        (FULL, True, "completed", ""),
        (None, True, "lost", "its process died; see the Ray logs"),
        (
            NO_SCORE,
            False,
            "lost",
            "its score is nan",
        ),
    ],
)
def test_how_a_run_ends(
    result: dict[str, Any] | None, died: bool, outcome: str, cause: str
) -> None:
    fed = Fed(Source([job("a")]))
    fed.start()
    if result:
        fed.say(result)
    fed.end(error=died)
    name, told, why = fed.loop._source.told[-1]
    assert (name, told) == ("a", outcome)
    assert why.startswith(cause)
    assert bool(why) == bool(cause)


def test_a_loss_names_the_machine(tmp_path: Path) -> None:
    given = job("a", folder=str(tmp_path))
    pulse.write(given.folder, pulse_of(node="gpu-7"))
    fed = Fed(Source([given]))
    fed.start()
    fed.end(error=True)
    assert fed.loop._source.told[-1][2] == "its process died; see the Ray logs (on gpu-7)"


def test_what_the_source_pauses_is_stopped_and_told_as_paused() -> None:
    fed = Fed(Source([job("a")], bar=0.3))
    fed.start()
    assert fed.say(EARLY) == fed.scheduler.STOP
    fed.end()
    assert fed.loop._source.told == [("a", 2, 0.2), ("a", "paused", "")]


def test_a_failure_is_no_value() -> None:
    fed = Fed(Source([job("a")]))
    fed.start()
    assert fed.say(DIVERGED) == fed.scheduler.STOP
    assert fed.loop._source.told == []


def test_a_live_run_keeps_the_search_open_because_it_may_be_lost() -> None:
    fed = Fed(Source([job("a")]))
    assert isinstance(fed.start(), dict)
    assert fed.searcher.suggest("t1") is None
    fed.end(error=True)
    again = fed.start("t2")
    assert again["job"]["name"] == "a"
    fed.say(FULL, "t2")
    fed.end("t2")
    assert fed.searcher.suggest("t3") == Searcher.FINISHED


def test_watchers_hear_of_start_reports_and_end_in_order() -> None:
    fed = Fed(Source([job("a")]))
    fed.start()
    fed.say(EARLY)
    fed.say(FULL)
    fed.end()
    assert fed.watcher.heard == [
        ("started", "a"),
        ("reported", "a", 2),
        ("reported", "a", 4),
        ("ended", "a", "completed"),
    ]


def test_a_run_whose_process_never_started_is_announced_and_lost() -> None:
    fed = Fed(Source([job("a")]))
    fed.searcher.suggest("t0")
    fed.end(error=True)
    assert fed.watcher.heard == [("started", "a"), ("ended", "a", "lost")]


def test_a_stop_signal_ends_live_runs_as_killed_once() -> None:
    fed = Fed(Source([job("a")]))
    fed.start()
    fed.stop.set()
    for _ in range(2):
        fed.callback.on_step_end(0, [])
    fed.end()  # Tune winds up
    assert fed.watcher.heard == [("started", "a"), ("ended", "a", "killed"), "interrupted"]
    assert fed.loop._source.told == [("a", "killed", "run the same command to go on")]


def test_an_error_of_the_source_stops_all_in_order() -> None:
    fed = Fed(Source([job("a"), job("b")], error=UserError("the database is gone")))
    fed.start("t0")
    fed.start("t1")
    assert fed.say(EARLY, "t0") == fed.scheduler.CONTINUE
    assert fed.stopper.stop_all()
    fed.callback.on_step_end(0, [])
    assert [told[:2] for told in fed.loop._source.told] == [("a", "killed"), ("b", "killed")]
    assert str(fed.loop.error) == "the database is gone"


def test_tune_can_save_what_it_is_given() -> None:
    assert cloudpickle.dumps(Fed(Source()).stopper)


def test_one_run_goes_on_after_a_loss_and_ends_at_the_third() -> None:
    source = OneRun(job("a"))
    lost = RunResult("lost", None, "node gone", "machine")
    for _ in range(3):
        given = source.next()
        assert given is not None
        source.end(given, lost)
    assert source.next() is None
    assert source.result == lost


def test_a_killed_single_run_has_no_result() -> None:
    source = OneRun(job("a"))
    source.end(source.next(), RunResult("killed"))
    assert source.result is None


def test_runs_that_have_reported_nothing_may_be_waiting_for_a_place() -> None:
    fed = Fed(Source([job(), job().updated(name="trial-0001")]))
    fed.start("t0")
    fed.start("t1")
    fed.loop.tick()
    assert fed.waiting == ["trial-0000", "trial-0001"]
    fed.say(EARLY, "t0")
    fed.loop.tick()
    assert fed.waiting == ["trial-0001"]
