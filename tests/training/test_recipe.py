"""What a recipe may say, what it was called before, and what makes two of them the same."""

from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.training.recipe import TrainingConfig
from tests.examples import trial

FULL = {"iterations": 100, "validate_every": 50}
# What a run's identity held before there was a choice of optimizer; runs on record have no other.
BEFORE = {
    **{"iterations": 100, "batch": 16, "validate_every": 50, "lr": 0.02, "momentum": 0.9},
    **{"weight_decay": 1e-4, "poly_power": 0.9, "aux_weight": 0.4, "distiller_clip": 15.0},
    **{"precision": "auto", "seed": 0},
}


def test_a_run_of_before_there_was_a_choice_is_still_the_same_run() -> None:
    assert TrainingConfig(**FULL).identity() == BEFORE
    given = {**BEFORE, "momentum": 0.5, "poly_power": 2.0, "compile": "on"}
    found = TrainingConfig.model_validate(given)
    assert (found.optimizer.momentum, found.schedule.power) == (0.5, 2.0)
    assert found.identity() == {**BEFORE, "momentum": 0.5, "poly_power": 2.0}
    again = TrainingConfig.model_validate(found.plain())
    assert again == found


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": {"type": "adamw"}, "lr": 0.02},
        {"schedule": {"type": "step", "milestones": [50]}},
        {"warmup": {"iterations": 10}},
        {"clip": 1.0},
        {"accumulate": 2},
    ],
)
def test_whatever_changes_what_is_computed_makes_another_run(change: dict[str, Any]) -> None:
    assert TrainingConfig.model_validate({**FULL, **change}).identity() != BEFORE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"training__optimizer": {"type": "adam"}},
            "training.optimizer.type: 'adam' is not one of",
        ),
        ({"training__optimizer": {"momentum": 0.5}}, "training.optimizer: needs the key 'type'"),
        (
            {"training__optimizer": {"type": "adamw", "momentum": 0.5}},
            "training.optimizer.momentum: unknown key",
        ),
        (
            {"training__optimizer": {"type": "sgd", "beta": 0.5}},
            "training.optimizer.beta: unknown key",
        ),
        (
            {"training__optimizer": {"type": "adamw"}, "training__momentum": 0.5},
            "momentum is now optimizer.momentum of sgd: leave momentum out",
        ),
        (
            {
                "training__schedule": {"type": "step", "milestones": [2]},
                "training__poly_power": 1.0,
            },
            "poly_power is now schedule.power of poly",
        ),
        ({"training__schedule": {"type": "step", "milestones": []}}, "milestones"),
        (
            {"training__schedule": {"type": "step", "milestones": [3, 2]}},
            r"schedule.milestones \[3, 2\] must rise and end before iterations 4",
        ),
        ({"training__schedule": {"type": "step", "milestones": [4]}}, "before iterations 4"),
        ({"training__warmup": {"iterations": 4}}, "warmup.iterations 4 must be below iterations 4"),
        (
            {"training__accumulate": 3},
            "training.accumulate: 3 must divide the 4 images of a worker",
        ),
        ({"training__accumulate": 4}, "each worker needs at least 2 images at a time"),
        ({"training__clip": 0.0}, "training.clip"),
    ],
)
def test_rules_are_told_in_one_line_with_key_and_remedy(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message) as error:
        trial(**change)
    assert "\n" not in str(error.value)


def test_the_default_rate_is_sgds_and_no_other_optimizer_takes_it_unasked() -> None:
    with pytest.raises(ValueError, match="optimizer adamw needs lr"):
        TrainingConfig.model_validate({**FULL, "optimizer": {"type": "adamw"}})
