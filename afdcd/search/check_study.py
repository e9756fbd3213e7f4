"""Whether the `study:` section of a search space file can be done with what the file searches."""

import json

from afdcd.config import UserError
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
    if study.sampler == "grid":
        from afdcd.search.policy.grid import check_grid  # numpy, for which nobody else need wait

        check_grid(space.space, space.source)
