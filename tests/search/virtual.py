"""A cluster that does nothing: runs end as a test says, through the real loop and study."""

import contextlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.search import Searcher

from afdcd.search import run_study, session
from afdcd.search.loop import Loop
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.training import pulse
from afdcd.training.job import Failure, Fault, Job, said
from tests.pulses import pulse_of
from tests.search.studies import report

Behave = Callable[[Job], list[dict[str, Any]] | None]


class Tracker:
    """Takes MLflow's place and listens."""

    def __init__(self) -> None:
        self.data: Any = None
        self.client: Any = None
        self.commit, self.experiment = "abc", "1"
        self.heard: list[str] = []
        self.studies: list[StudyRecord] = []

    def update(self, record: RunRecord) -> None:
        self.heard.append(f"{record.outcome or 'going on'} {record.job.name}")

    def settle(self, record: RunRecord) -> None:
        """What was told last stands."""

    def open_study(self, record: StudyRecord) -> None:
        self.studies.append(record)

    def close_study(self, record: StudyRecord) -> None:
        self.studies.append(record)

    def flush(self, seconds: float) -> bool:
        return True

    def deliver(self) -> bool:
        return True

    def run_of(self, name: str, study: str | None) -> str:
        return f"run of {name}"

    def known(self) -> set[str]:
        return set()

    def told_of(self, study: str) -> set[Any]:
        return set()

    def stop_wanted(self) -> str:
        return ""

    def tidy(self, last_sign: Any) -> None:
        """Nothing is left from before."""

    def close(self) -> None:
        self.heard.append("closed")


def to_the_end(job: Job, value: float = 0.25) -> list[dict[str, Any]]:
    """What a run that reaches its last iteration says."""
    training = job.config.training
    steps = range(training.validate_every, training.iterations + 1, training.validate_every)
    return [said(report(iteration, value)) for iteration in steps]


def failing(cause: str, fault: Fault = "setting") -> list[dict[str, Any]]:
    return [said(Failure(failed=cause, fault=fault))]


def drive(monkeypatch: pytest.MonkeyPatch, behave: Behave) -> None:
    """Let every run say what `behave` returns; None interrupts the driver."""

    def run(self: Loop, folder: str, concurrency: int) -> bool:
        for number in range(1000):
            trial = f"t{number}"
            config = self.propose(trial)
            if config == Searcher.FINISHED or not isinstance(config, dict):
                break
            self.started(trial)
            said = behave(self._runs[trial].job)
            if said is None:
                self.interrupt()
                return False
            pulse.write(self._runs[trial].job.folder, pulse_of(at=36.0, started=0.0))
            for message in said:
                if self.reported(trial, message):
                    break
            self.ended(trial, died=False)
        if self.error:
            raise self.error
        return True

    monkeypatch.setattr(Loop, "run", run)


@contextlib.contextmanager
def _cluster(*_: object) -> Iterator[Any]:
    yield cluster()


def cluster() -> Any:
    return SimpleNamespace(
        capacity=lambda resources, most=None: min(2, most or 2),
        uses_gpu=lambda resources: False,
        alone=lambda resources: resources,
        api="",
        stopping=None,
        cpus=2.0,
        gpus=0.0,
        machines=(),
    )


def install(monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """Take the places of Ray and MLflow under `run_study` and `run_single`."""
    tracker = Tracker()
    monkeypatch.setattr(session, "Tracker", lambda **_: tracker)
    monkeypatch.setattr(run_study, "connect", _cluster)
    monkeypatch.setattr(run_study, "bring_back", lambda *_: None)  # these runs leave no weights
    return tracker
