"""The adapters between Tune and a source of jobs, fed by hand with what Tune would say."""

import math
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from afdcd.search.driver import OneJob, _Adapter, _end, _Relay, _Stopper
from afdcd.training.job import Job, RunResult
from tests.examples import job

FULL = {"iteration": 4, "miou": 0.5}
EARLY = {"iteration": 2, "miou": 0.2}
DIVERGED = {"iteration": 2, "miou": math.nan, "failed": "loss term kd is not finite"}


@dataclass
class Source:
    """Gives `jobs`, stops what scores below `bar`, and remembers what it is told."""

    jobs: list[Job] = field(default_factory=list)
    bar: float = 0.0
    told: list[Any] = field(default_factory=list)

    def next(self) -> Job | None:
        return self.jobs.pop(0) if self.jobs else None

    def report(self, job: Job, iteration: int, miou: float) -> bool:
        self.told.append((job.name, iteration, miou))
        return miou < self.bar

    def finish(self, job: Job, end: RunResult) -> None:
        self.told.append((job.name, end))


class Listener:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def started(self, job: Job) -> None:
        self.heard.append(("started", job.name))

    def reported(self, job: Job, result: dict[str, Any]) -> None:
        self.heard.append(("reported", job.name, result["iteration"]))

    def ended(self, job: Job, end: RunResult) -> None:
        self.heard.append(("ended", job.name, end.outcome))

    def interrupted(self) -> None:
        self.heard.append("interrupted")


def trial(given: Job, last_result: dict[str, Any] | None = None, trial_id: str = "t0") -> Any:
    return SimpleNamespace(
        trial_id=trial_id, config={"job": given.plain(), "gpu": False}, last_result=last_result
    )


@pytest.mark.parametrize(
    ("result", "error", "outcome", "cause"),
    [
        (FULL, False, "completed", ""),
        (EARLY, False, "pruned", ""),
        (DIVERGED, False, "failed", "loss term kd is not finite"),
        ({**DIVERGED, "iteration": 4}, False, "failed", "loss term kd is not finite"),
        (EARLY, True, "failed", "its process died twice; see the Ray logs"),
        (FULL, True, "failed", "its process died twice; see the Ray logs"),
        ({}, True, "failed", "its process died twice; see the Ray logs"),
    ],
)
def test_a_value_is_final_only_at_full_length(
    result: dict[str, Any], error: bool, outcome: str, cause: str
) -> None:
    end = _end(job(), result, error)
    assert (end.outcome, end.cause, end.result) == (outcome, cause, result)


def test_searcher_hands_out_jobs_until_there_are_none() -> None:
    adapter = _Adapter(Source([job("trial-0007")]), gpu=lambda resources: resources.workers == 1)
    assert adapter.suggest("t0") == {"job": job("trial-0007").plain(), "gpu": True}
    assert adapter.suggest("t1") == Searcher.FINISHED


def test_searcher_tells_the_source_how_each_job_ended() -> None:
    source = Source([job("trial-0000"), job("trial-0001"), job("trial-0002")])
    adapter = _Adapter(source, gpu=lambda resources: False)
    for trial_id in ("a", "b", "c"):
        adapter.suggest(trial_id)
    adapter.on_trial_complete("b", FULL)
    adapter.on_trial_complete("a", EARLY)
    adapter.on_trial_complete("c", None, error=True)
    assert [(name, end.outcome) for name, end in source.told] == [
        ("trial-0001", "completed"),
        ("trial-0000", "pruned"),
        ("trial-0002", "failed"),
    ]


@pytest.mark.parametrize(
    ("result", "decision"),
    [(EARLY, "STOP"), (FULL, "CONTINUE"), (DIVERGED, "STOP"), ({"failed": "x"}, "STOP")],
)
def test_scheduler_asks_the_source_and_stops_what_diverged(
    result: dict[str, Any], decision: str
) -> None:
    source = Source(bar=0.3)
    assert _Stopper(source).on_trial_result(None, trial(job()), result) == decision
    assert bool(source.told) == ("failed" not in result)  # a diverged value is no value


def test_listeners_hear_of_start_reports_and_end_in_order() -> None:
    listener = Listener()
    relay = _Relay([listener], threading.Event(), lambda: None)
    given = trial(job(), last_result=FULL)
    relay.on_trial_start(0, [], given)
    relay.on_trial_result(0, [], given, EARLY)
    relay.on_trial_complete(0, [], given)
    assert listener.heard == [
        ("started", "trial-0000"),
        ("reported", "trial-0000", 2),
        ("ended", "trial-0000", "completed"),
    ]
    assert not relay.live


def test_trial_whose_process_never_started_is_announced_and_failed() -> None:
    listener = Listener()
    _Relay([listener], threading.Event(), lambda: None).on_trial_error(0, [], trial(job()))
    assert listener.heard == [("started", "trial-0000"), ("ended", "trial-0000", "failed")]


def test_stop_signal_ends_live_jobs_as_killed_once() -> None:
    listener, stopping = Listener(), threading.Event()
    relay = _Relay([listener], stopping, lambda: None)
    relay.on_trial_start(0, [], trial(job("trial-0003")))
    relay.on_step_end(0, [])
    assert not relay.interrupted
    stopping.set()
    relay.on_step_end(1, [])
    relay.on_step_end(2, [])
    assert listener.heard[1:] == [("ended", "trial-0003", "killed"), "interrupted"]


def test_one_job_runs_once_and_keeps_its_end() -> None:
    source, end = OneJob(job()), RunResult("completed", FULL)
    given = source.next()
    assert source.next() is None
    assert source.report(given, 2, 0.0) is False
    source.finish(given, end)
    assert source.end is end
