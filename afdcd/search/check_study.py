"""Whether the `study:` section of a search space file can be done with what the file searches."""

import json
from collections import Counter

from afdcd.config import UserError
from afdcd.search.division import KEY, Division
from afdcd.search.load import SearchSpace
from afdcd.search.space import Choice, nodes, without_seed


def check_study(space: SearchSpace) -> None:
    """Refuse what no search could do.

    Raises:
        UserError: too few trials for the references, a space of one setting, a grid without end.
    """
    study = space.study
    trials = space.source.at(
        ("study", "budget", "runs") if study.budget.runs else ("study", "trials")
    )
    references = {json.dumps(without_seed(r), sort_keys=True) for r in space.references()}
    if len(references) > study.runs:
        raise UserError(
            f"{trials}: {study.runs} cannot pay for the {len(references)} settings in study.enqueue, "
            f"which run first and at full length; raise it to {len(references)} at least, or remove "
            "some of them"
        )
    searched = [node for _, node in nodes(space.space)]
    single = all(isinstance(node, Choice) and len(node.labels) == 1 for node in searched)
    if study.runs > 1 and single:
        raise UserError(
            f"{trials}: there is nothing to search, for the space holds one setting; write a range or "
            "a choice, or study.trials: 1"
        )
    if study.warm_start and study.sampler != "gp":
        raise UserError(
            f"{space.source.at(('study', 'warm_start'))}: only study.sampler: gp learns from other "
            f"studies; {study.sampler} does not"
        )
    if division := space.division:
        _check_shares(space, division, trials)
    if study.sampler == "grid":
        from afdcd.search.policy.grid import check_grid  # numpy, for which nobody else need wait

        check_grid(space.space, space.source)


def _check_shares(space: SearchSpace, division: Division, trials: str) -> None:
    """Refuse shares that do not pay for their own references."""
    if space.study.sampler == "grid":
        raise UserError(
            f"{space.source.at(KEY)}: study.sampler: grid goes through every setting, so there is nothing "
            "to divide; search by gp, tpe or random, or remove it"
        )
    asked = {json.dumps(without_seed(r), sort_keys=True): r for r in space.references()}
    counts = Counter(r.get(division.path) for r in asked.values())
    for value, share in division.shares(space.study.runs).items():
        needed = max(1, counts[value])
        if int(share) < needed:
            raise UserError(
                f"{trials}: {space.study.runs} divided by {division.key} gives {value} {share:.3g} runs, and "
                f"it needs {needed}, for its settings in study.enqueue; raise it, or remove some of them"
            )
