"""Studies fed by hand: a space of real configurations, and what a run would report."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import optuna

from afdcd.config import Source, validate
from afdcd.search.open_study import connect, open_study
from afdcd.search.rungs import Rules
from afdcd.search.settings import Proposal, Settings
from afdcd.search.space import parse_ranges
from afdcd.search.study import Study
from afdcd.tasks.score import Score
from afdcd.training.job import Failure, Job, Report, RunResult, result_of
from afdcd.training.trial import TrialConfig
from tests.examples import trial_values

LR = {"uniform": [0.01, 1.0]}
METHODS = {"choice": [{"method": "none"}, {"method": "kd"}]}
LENGTH = 40
REFERENCES = (
    {"training.lr": 0.25, "distiller": "none"},
    {"training.lr": 0.75, "distiller": "kd"},
)


def space_of(lr: Any = LR, distiller: Any = METHODS, **changes: Any) -> dict[str, Any]:
    values = trial_values(
        **{"training__iterations": LENGTH, "training__validate_every": 10, **changes}
    )
    values["training"]["lr"] = lr
    values["distiller"] = distiller
    return parse_ranges(values, Source())


def settings_of(space: Any) -> Settings:
    return Settings(
        space, lambda v: validate(TrialConfig, v), lambda c: c.fingerprint("digest"), _job
    )


def _job(proposal: Proposal) -> Job:
    return Job(
        name=proposal.run.name,
        title=proposal.run.title(proposal.config),
        config=proposal.config,
        folder=proposal.run.folder("."),
        identity=proposal.identity,
        repeats=proposal.run.repeats,
    )


def opened(
    folder: Path, space: Any = None, references: tuple[dict[str, Any], ...] = (), **rules: Any
) -> Study:
    """The study of `folder`, as a new driver would open it."""
    settings = settings_of(space_of() if space is None else space)
    given = Rules(**{"trials": 6, "rungs": (10, 20), "reduction": 2, **rules})
    file = folder / "study.db"
    if not file.exists():
        shutil.copy(_empty_database(), file)
    database = connect(f"sqlite:///{file}", "s")
    return open_study(database, settings, given, list(references), 0, "s.yaml")


@cache
def _empty_database() -> str:
    """One with Optuna's tables, which take a second to make."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    optuna.storages.RDBStorage(f"sqlite:///{folder}/empty.db")
    return f"{folder}/empty.db"


def report(iteration: int, value: float) -> Report:
    score = Score(name="miou", value=value)
    return Report(iteration=iteration, score=score, seconds=36.0, devices=1, device="cpu")


def completed(value: float) -> RunResult:
    return result_of(LENGTH, report(LENGTH, value), None)


def lost(cause: str = "gone", fault: Any = "machine") -> RunResult:
    return result_of(LENGTH, None, Failure(failed=cause, fault=fault))


def paused(iteration: int, value: float) -> RunResult:
    return result_of(LENGTH, report(iteration, value), None)


def run_to_the_end(study: Study, value: float) -> Job:
    """The next run, through its validations to the end."""
    job = study.next()
    assert job is not None
    for iteration in range(10, LENGTH + 1, 10):
        study.report(job, report(iteration, value))
    study.end(job, completed(value))
    return job


def pause(study: Study, value: float, iteration: int = 10) -> Job:
    """The next run, to its first validation and no further."""
    job = study.next()
    assert job is not None
    study.report(job, report(iteration, value))
    study.end(job, paused(iteration, value))
    return job
