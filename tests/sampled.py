"""Configurations drawn from a space as a study would draw them."""

from typing import Any

from afdcd.search.options import OptionSets


def suggest(space: Any, trial: Any) -> dict[str, Any]:
    """One configuration of a study that has only ever had this space."""
    options = OptionSets()
    options.learn(space)
    return options.suggest(space, trial)
