"""A past of many trials, put into a study as if it had run them: how long is a decision after it?"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, create_trial

from afdcd.bench.sides import POINTS, settings_of
from afdcd.bench.simulate import Problem
from afdcd.search import rows
from afdcd.search.space import Choice, resolve


def fill(database: optuna.Study, problem: Problem, trials: int) -> None:
    """Completed trials of random settings."""
    for trial in _completed(problem, trials):
        database.add_trial(trial)


def _completed(problem: Problem, trials: int) -> Iterator[FrozenTrial]:
    rng, points, settings = np.random.default_rng(0), problem.points, settings_of(problem.space)
    kinds = {column.path: _distribution(column.node) for column in points.columns}
    while trials:
        branch = points.branches[rng.integers(len(points.branches))]
        row = points.draw(rng, 1, branch)[0]
        shown = problem.run(row) / POINTS
        if not np.isfinite(shown).all():
            continue
        values = points.values(row)
        config = settings.config(resolve(problem.space, partial(_looked_up, values)))
        yield create_trial(
            value=float(shown[-1]),
            params=values,
            distributions={name: kinds[name] for name in values},
            intermediate_values={at + 1: float(value) for at, value in enumerate(shown)},
            user_attrs={
                rows.SETTING: config.plain(),
                rows.IDENTITY: settings.identity(config),
                rows.OUTCOME: "completed",
            },
        )
        trials -= 1


def _looked_up(values: dict[str, Any], path: str, _: Any) -> Any:
    return values[path]


def _distribution(node: Any) -> Any:
    if isinstance(node, Choice):
        return CategoricalDistribution(node.labels)
    return FloatDistribution(node.low, node.high, log=node.kind == "log")
