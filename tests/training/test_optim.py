import pytest
import torch
from torch import nn

from afdcd.training.optim import build_optimizer, learning_rate, set_learning_rate
from afdcd.training.trial import TrainingConfig

CONFIG = TrainingConfig(
    iterations=100, validate_every=100, lr=0.02, momentum=0.8, weight_decay=0.1, poly_power=0.9
)


@pytest.mark.parametrize(
    ("iteration", "expected"), [(0, 0.02), (50, 0.02 * 0.5**0.9), (99, 0.02 * 0.01**0.9)]
)
def test_schedule_is_polynomial_and_never_zero_while_training(
    iteration: int, expected: float
) -> None:
    assert learning_rate(CONFIG, iteration) == pytest.approx(expected)


def test_schedule_falls_all_the_way() -> None:
    rates = [learning_rate(CONFIG, iteration) for iteration in range(100)]
    assert rates == sorted(rates, reverse=True)


def test_two_steps_equal_sgd_worked_out_by_hand() -> None:
    """v = 0.8 v + (g + 0.1 w); w = w - lr v, with g = 1 throughout."""
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = build_optimizer(CONFIG, [weight])
    for lr in (0.5, 0.25):
        set_learning_rate(optimizer, lr)
        weight.grad = torch.ones(1)
        optimizer.step()
    first = 2.0 - 0.5 * 1.2
    assert weight.item() == pytest.approx(first - 0.25 * (0.8 * 1.2 + 1 + 0.1 * first))
