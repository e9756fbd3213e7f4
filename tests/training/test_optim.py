import pytest
import torch
from torch import nn

from afdcd.config import UserError, validate
from afdcd.training.optim import build_optimizer, learning_rate, set_learning_rate, started
from afdcd.training.recipe import SGDConfig, TrainingConfig

CONFIG = TrainingConfig(
    iterations=100,
    validate_every=100,
    lr=0.02,
    weight_decay=0.1,
    optimizer={"type": "sgd", "momentum": 0.8},
)
ADAMW = CONFIG.updated(optimizer={"type": "adamw", "betas": [0.8, 0.9], "eps": 1e-3})


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


def test_a_floor_is_what_the_schedule_ends_at() -> None:
    """As MasKD and mmseg have it: floor + (lr - floor) x schedule."""
    config = CONFIG.updated(lr_floor=1e-4)
    assert learning_rate(config, 0) == pytest.approx(0.02)
    assert learning_rate(config, 50) == pytest.approx(1e-4 + 0.0199 * 0.5**0.9)
    assert learning_rate(config, 99) > 1e-4
    assert learning_rate(CONFIG, 50) == 0.02 * 0.5**0.9  # to the last bit, as runs of before had it
    assert "lr_floor" not in CONFIG.identity()
    with pytest.raises(UserError, match=r"lr_floor 0\.02 must be below lr 0\.02"):
        validate(TrainingConfig, {"lr": 0.02, "lr_floor": 0.02})


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
    config = CONFIG.updated(optimizer=SGDConfig(momentum=momentum))
    weights = [nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4)) for _ in range(2)]
    plain = torch.optim.SGD([weights[1]], lr=0.02, momentum=momentum, weight_decay=0.1)
    for optimizer in (build_optimizer(config, [weights[0]]), plain):
        (weight,) = optimizer.param_groups[0]["params"]
        for _ in range(3):
            weight.grad = weight.detach().sin()
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1])


def test_steps_equal_those_of_torchs_own_plain_adamw() -> None:
    """A step that is left out, the first one or a later one, counts for nothing in its state."""
    weights = [nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4)) for _ in range(2)]
    plain = torch.optim.AdamW([weights[1]], 0.02, (0.8, 0.9), 1e-3, weight_decay=0.1, fused=False)
    for optimizer in (build_optimizer(ADAMW, [weights[0]]), plain):
        (weight,) = optimizer.param_groups[0]["params"]
        for left_out in (True, False, False, True, False):
            if optimizer is not plain:
                optimizer.found_inf = torch.tensor(float(left_out))
            elif left_out:
                continue
            weight.grad = weight.detach().sin() * (torch.nan if left_out else 1.0)
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1])


def test_a_step_schedule_falls_at_its_milestones() -> None:
    schedule = {"type": "step", "milestones": [60, 90], "gamma": 0.5}
    config = CONFIG.updated(schedule=schedule)
    rates = [learning_rate(config, iteration) for iteration in (0, 59, 60, 89, 90, 99)]
    assert rates == pytest.approx([0.02, 0.02, 0.01, 0.01, 0.005, 0.005])


def test_warm_up_rises_in_a_line_to_what_the_schedule_says() -> None:
    config = CONFIG.updated(warmup={"iterations": 10, "start": 0.1})
    for iteration, share in ((0, 0.1), (5, 0.55), (9, 0.91), (10, 1.0), (50, 1.0)):
        expected = share * learning_rate(CONFIG, iteration)
        assert learning_rate(config, iteration) == pytest.approx(expected)


def test_an_optimizer_that_keeps_more_than_is_saved_is_refused() -> None:
    adam = torch.optim.Adam([nn.Parameter(torch.ones(2))], amsgrad=True, fused=True)
    with pytest.raises(ValueError, match="amsgrad keeps more than is saved"):
        started(adam)
