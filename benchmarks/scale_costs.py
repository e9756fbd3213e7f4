"""`scale_costs`: what one event costs a driver whose study has so many trials. For `scale`.

    python -m benchmarks.scale_costs --trials 5000

Database, MLflow and store are those of the environment (AFDCD_STUDY_DB, MLFLOW_TRACKING_URI,
AFDCD_STORAGE); what is not set is a file in a temporary folder. The study database should be empty.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from afdcd import storage
from afdcd.bench import study_side
from afdcd.cli import run
from afdcd.config import Source, validate
from afdcd.environment import set_defaults, storage_root, study_database
from afdcd.tasks.score import Score
from afdcd.tracking.pages import Place
from afdcd.tracking.records import RunRecord
from afdcd.tracking.runs import project_run
from afdcd.tracking.server import connect
from afdcd.training import journal, pulse
from afdcd.training.job import Job, Report
from afdcd.training.trial import TrialConfig

TIMES = 20


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_costs", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--trials", type=int, default=5000)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        defaults = {"AFDCD_STORAGE": folder, "AFDCD_STUDY_DB": f"sqlite:///{folder}/study.db"}
        set_defaults(defaults)
        for name, value in _measured(args.trials):
            print(f"{name}: {value}", flush=True)
    return 0


def _measured(trials: int) -> Iterator[tuple[str, str]]:
    with _statements() as counted:
        found = study_side.measure(trials, study_database())
        yield "a report", f"{1000 * found['report']:.0f} ms"
        yield "a proposal without its sampler", f"{1000 * found['next']:.0f} ms"
        yield "opening the study", f"{found['opening']:.1f} s"
        yield "statements of SQL meanwhile", f"{counted[0]:,}"
    job = _job()
    yield "a look at a pulse", f"{1000 * _look(job):.1f} ms"
    yield "a page of MLflow, one report more", f"{1000 * _page(job):.0f} ms"


def _job() -> Job:
    values: dict[str, Any] = {
        **study_side.VALUES,
        "training": {"iterations": 1000, "validate_every": 1, "lr": 0.1},
        "distiller": {"method": "kd"},
    }
    config = validate(TrialConfig, values, Source())
    folder = storage.join(storage_root(), "scale")
    return Job(name="scale", title="scale", config=config, folder=folder, identity="scale")


def _look(job: Job) -> float:
    attempt = pulse.Attempt(started=0.0, at=1.0, devices=1, device="cpu", node="here")
    pulse.write(
        job.folder, pulse.Pulse(phase="training", iteration=1, iterations=1000, attempts=(attempt,))
    )
    return _seconds(lambda: pulse.found(job.folder))


def _page(job: Job) -> float:
    """Of a run that exists, with a new report of 19 classes in its journal."""
    client, experiment = connect()
    place, steps = Place(client, experiment, "commit"), iter(range(1, 1000))
    parts = {f"class {number}": 0.5 for number in range(19)}

    def once() -> None:
        score = Score(name="miou", value=0.5, parts=parts)
        told = Report(iteration=next(steps), score=score, seconds=1.0, devices=1, device="cpu")
        journal.write(job.folder, told)
        project_run(place, RunRecord(job))

    once()  # makes the page
    return _seconds(once)


def _seconds(call: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return median(taken)


@contextmanager
def _statements() -> Iterator[list[int]]:
    """How many statements every database was asked, in a list of one number."""
    counted = [0]

    def count(*_: Any) -> None:
        counted[0] += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield counted
    finally:
        event.remove(Engine, "before_cursor_execute", count)


if __name__ == "__main__":
    sys.exit(run(main))
