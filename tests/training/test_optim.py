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


def test_step_that_is_left_out_changes_neither_parameter_nor_momentum() -> None:
    """The first one too, when torch's own momentum would be memory nobody has written to."""
    weight = nn.Parameter(torch.tensor([2.0]))
    optimizer = build_optimizer(CONFIG, [weight])
    for found_inf, expected in ((1.0, 0.0), (0.0, 1.2), (1.0, 1.2)):
        optimizer.found_inf = torch.tensor(found_inf)
        weight.grad = torch.full((1,), torch.nan if found_inf else 1.0)
        before = weight.item()
        optimizer.step()
        assert (weight.item() == before) == bool(found_inf)
        assert optimizer.state[weight]["momentum_buffer"].item() == pytest.approx(expected)


@pytest.mark.parametrize("momentum", [0.8, 0.0])
def test_steps_equal_those_of_torchs_own_plain_sgd(momentum: float) -> None:
    config = CONFIG.updated(momentum=momentum)
    weights = [nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4)) for _ in range(2)]
    plain = torch.optim.SGD([weights[1]], lr=0.02, momentum=momentum, weight_decay=0.1)
    for optimizer in (build_optimizer(config, [weights[0]]), plain):
        (weight,) = optimizer.param_groups[0]["params"]
        for _ in range(3):
            weight.grad = weight.detach().sin()
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1])
