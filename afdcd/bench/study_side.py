"""One side of `service`: what a study of so many trials costs its driver. Run by path, in any checkout.

It stands on what every edition of the study has: Optuna's tables, `open_study`, `next`, `report`.
"""

import json
import random
import sys
import time
from datetime import datetime
from statistics import median
from typing import Any

import optuna
from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import insert

from afdcd.config import Source, validate
from afdcd.search import study
from afdcd.search.space import parse_ranges
from afdcd.training.trial import TrialConfig

module: Any = study  # of whichever edition
ITERATIONS, EVERY = 40, 10
VALUES: dict[str, Any] = {
    "data": {"dataset": "synthetic", "root": "x", "protocol": "dev", "crop": [64, 64]},
    "pair": {
        "student": {"head": "pspnet", "encoder": "timm:lcnet_050"},
        "teacher": {"weights": "t.safetensors"},
    },
    "training": {"iterations": ITERATIONS, "validate_every": EVERY, "lr": {"uniform": [0.01, 1]}},
    "distiller": {"choice": [{"method": "none"}, {"method": "kd"}]},
}
CHOICES = optuna.distributions.CategoricalDistribution(["none", "kd"])
UNIFORM = optuna.distributions.FloatDistribution(0.01, 1.0)


def attributes(lr: float) -> dict[str, Any]:
    """What this edition notes of a completed trial."""
    try:
        from afdcd.search import rows
    except ImportError:
        return {}
    training = {**VALUES["training"], "lr": lr}
    config = validate(TrialConfig, {**VALUES, "training": training, "distiller": {"method": "kd"}})
    return {
        rows.IDENTITY: config.fingerprint("digest"),
        rows.SETTING: config.plain(),
        rows.OUTCOME: "completed",
    }


def _itself(proposal: Any) -> Any:
    """In a job's place: nothing is run."""
    return proposal


def opened(url: str) -> Any:
    """The study, as a new driver opens it."""
    space = parse_ranges(VALUES, Source())
    try:
        from afdcd.search.open_study import connect, open_study
        from afdcd.search.rungs import Rules
        from afdcd.search.settings import Settings
    except ImportError:
        config = module.StudyConfig(trials=10**9)
        return module.open_study(url, "s", config, space, "digest", Source(), EVERY)
    settings = Settings(
        space, lambda v: validate(TrialConfig, v), lambda c: c.fingerprint("digest"), _itself
    )
    # By Optuna's sampler, which is exchanged below: what is drawn is another matter.
    drawn: dict[str, Any] = {"sampler": "tpe"} if "sampler" in Rules.__dataclass_fields__ else {}
    rules: Any = Rules(10**9, tuple(range(EVERY, 100, EVERY)), **drawn)
    return open_study(connect(url, "s"), settings, rules, [], 0, "s.yaml")


def fill(study: optuna.Study, trials: int) -> None:
    """Completed trials, written as Optuna would."""
    drawn, now = random.Random(0), datetime.now()
    with study._storage._backend.engine.begin() as connection:

        def row(model: Any, **values: Any) -> Any:
            return connection.execute(insert(model.__table__).values(**values))

        for number in range(trials):
            lr = drawn.uniform(0.01, 1.0)
            made = row(
                models.TrialModel,
                number=number,
                study_id=study._study_id,
                state=TrialState.COMPLETE,
                datetime_start=now,
                datetime_complete=now,
            )
            of = {"trial_id": made.inserted_primary_key[0]}
            kind = models.TrialValueModel.TrialValueType.FINITE
            row(models.TrialValueModel, **of, objective=0, value=lr, value_type=kind)
            for name, value, ends in (("training.lr", lr, UNIFORM), ("distiller", 1, CHOICES)):
                text = optuna.distributions.distribution_to_json(ends)
                told = {"param_name": name, "param_value": value, "distribution_json": text}
                row(models.TrialParamModel, **of, **told)
            for key, value in attributes(lr).items():
                row(models.TrialUserAttributeModel, **of, key=key, value_json=json.dumps(value))
            for rung in range(3):  # by which the pruner of earlier editions compares
                told = {"key": f"completed_rung_{rung}", "value_json": json.dumps(lr)}
                row(models.TrialSystemAttributeModel, **of, **told)
            for step in range(EVERY, ITERATIONS + 1, EVERY):
                told = {"step": step, "intermediate_value": lr, "intermediate_value_type": "FINITE"}
                row(models.TrialIntermediateValueModel, **of, **told)


def seconds(call: Any, times: int = 5) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def measure(trials: int, url: str) -> dict[str, float]:
    fill(opened(url).study, trials)
    opening = seconds(lambda: opened(url), 1)
    study = opened(url)
    study.study.sampler = optuna.samplers.RandomSampler(seed=0)  # what is drawn is another matter
    proposals = []
    next_one = seconds(lambda: proposals.append(study.next()))
    steps = iter(range(1, 100))
    first = proposals[0]
    if hasattr(first, "run"):
        from afdcd.tasks.score import Score
        from afdcd.training.job import Report

        first = type("Job", (), {"name": first.run.name})
        score = Score(name="miou", value=0.5)

        def report() -> None:
            at = EVERY * next(steps)
            told = Report(iteration=at, score=score, seconds=1.0, devices=1, device="cpu")
            study.report(first, told)

    else:

        def report() -> None:
            study.report(first.number, EVERY * next(steps), 0.5, last=False)

    return {"opening": opening, "next": next_one, "report": seconds(report)}


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
