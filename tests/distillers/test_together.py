"""Every method on 1, 2 and 4 ranks, over a checkpoint, and on its way out: the same numbers."""

from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from safetensors.torch import load_file
from torch import Tensor

from afdcd.distillers.context import StepContext
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.training.checkpoint import Position, load_checkpoint, save_checkpoint
from afdcd.training.learner import Learner
from tests.distillers.together import CASES, STEPS, found, iterate, learner_of, one_of, settings

# The processes take a while to start, so they do it once for all of these tests.
pytestmark = [pytest.mark.xdist_group("methods"), pytest.mark.timeout(300)]
every_method = pytest.mark.parametrize("method", CASES)


@pytest.fixture(scope="module", params=[2, 4])
def ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The files of each of several ranks, but for the method's name."""
    folder, world = tmp_path_factory.mktemp("ranks"), request.param
    mp.spawn(one_of, (world, str(folder)), nprocs=world)
    return [f"{folder}/{{}}.{world}.{rank}.safetensors" for rank in range(world)]


@every_method
def test_several_ranks_learn_what_one_does(method: str, ranks: list[str]) -> None:
    """Terms, parameters, queues, running statistics and the moments of both players."""
    alone = learner_of(method)
    before = found(alone)
    iterate(alone, range(STEPS))
    expected = found(alone)
    moved = [name for name, value in before.items() if not torch.allclose(value, expected[name])]
    assert moved
    for rank in ranks:
        together = load_file(rank.format(method))
        assert together.keys() == expected.keys()
        for name, value in expected.items():
            rtol = 1e-6 if name[0].isdigit() else 1e-9  # terms are told in single precision
            torch.testing.assert_close(together[name], value, rtol=rtol, atol=1e-12, msg=name)


@every_method
def test_a_checkpoint_in_the_middle_changes_nothing(method: str, tmp_path: Path) -> None:
    whole, first, second = learner_of(method), learner_of(method), learner_of(method)
    iterate(whole, range(4))
    iterate(first, range(2))
    save_checkpoint(tmp_path, "run", first.step, first.slots(), Position(iteration=2))
    for parameter in second.step.parameters():
        torch.nn.init.zeros_(parameter)
    load_checkpoint(tmp_path, "run", second.step, second.slots())
    iterate(second, range(2, 4))
    state, expected = found(second), found(whole)
    for name, value in expected.items():
        if name[0] not in "01":  # the terms of the first two iterations
            assert state[name].equal(value), name


def test_the_second_player_moves_by_its_own_terms_and_is_no_part_of_the_students_loss() -> None:
    learner = learner_of("skd")
    players = learner.step.adversarial()
    before = [p.detach().clone() for p in players]
    iterate(learner, range(1))
    moved = [(new - old).abs().max().item() for old, new in zip(before, players, strict=True)]
    # Adam's first step is as long as the learning rate, whatever the gradient.
    assert max(moved) == pytest.approx(4e-4, rel=1e-3)
    owned = {id(p) for group in learner.optimizer.param_groups for p in group["params"]}
    assert not owned & {id(p) for p in players}
    ((_, terms),) = learner.drain()
    assert terms.keys() == {"task", "aux", "kd", "pair", "adversarial", "adversary/hinge"}


def test_a_second_players_rate_falls_with_the_students_where_it_is_asked_to() -> None:
    """As officially; Adam's in the port stays."""
    for case, first, later in (("skd", 4e-4, 4e-4), ("skd-wgan-gp", 4e-4, 4e-4 * 0.5**0.9)):
        learner = learner_of(case)
        half = learner.config.iterations // 2
        for iteration, expected in ((0, first), (half, later)):
            iterate(learner, range(iteration, iteration + 1))
            (group,) = learner.players.adversary.param_groups
            assert group["lr"] == pytest.approx(expected)


def test_a_wasserstein_player_learns_beside_a_compiled_student() -> None:
    """Its gradient is derived twice, which a compiled graph could not be; the student's ends before it."""
    plain, compiled = learner_of("skd-wgan-gp"), learner_of("skd-wgan-gp")
    torch._dynamo.reset()
    student = compiled.step.student
    compiled.step.run_student = torch.compile(student.forward, backend="aot_eager")
    for learner in (plain, compiled):
        iterate(learner, range(STEPS))
    expected = found(plain)
    assert {"0.adversary/wasserstein", "0.adversary/penalty"} < expected.keys()
    for name, value in found(compiled).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-9, msg=name)


def test_the_student_is_taught_by_a_discriminator_that_has_not_moved_yet() -> None:
    """The gradient that reaches the student is that of the discriminator before its step."""
    ours, expected = learner_of("skd"), learner_of("skd")
    expected.step.distiller.adversary.forward = lambda *_: {}  # nothing to learn by
    for learner in (ours, expected):
        iterate(learner, range(1))
    for one, other in zip(
        ours.step.student.parameters(), expected.step.student.parameters(), strict=True
    ):
        assert one.equal(other)


def test_neither_player_moves_once_something_is_not_finite() -> None:
    learner = learner_of("skd")
    iterate(learner, range(1))
    before = found(learner)
    adversary = learner.step.distiller.adversary
    inner = adversary.forward
    adversary.forward = lambda *args: {k: v * torch.nan for k, v in inner(*args).items()}
    iterate(learner, range(1, 2))
    after = found(learner)
    for name in learner.slots():
        assert after[name].equal(before[name]), name
    for name, _ in learner.step.named_parameters():
        assert after[f"step.{name}"].equal(before[f"step.{name}"]), name
    assert "adversary/hinge is not finite at iteration 2" in str(learner.diverged)


@every_method
def test_nothing_of_a_method_is_in_the_student(method: str) -> None:
    if settings(method).PREPARES:
        assert learner_of(method).step.student is None
        return
    learner = learner_of(method)
    alone = learner_of("none").step.student.state_dict()
    assert learner.step.student.state_dict().keys() == alone.keys()


def test_draws_of_the_ranks_are_those_of_one_process() -> None:
    cpu = torch.device("cpu")
    whole = StepContext(3, 7).uniform("mask", (4, 1, 5, 6), cpu)
    parts = [StepContext(3, 7, rank, 2).uniform("mask", (2, 1, 5, 6), cpu) for rank in range(2)]
    assert torch.cat(parts).equal(whole)
    assert whole.shape == (4, 1, 5, 6)
    assert 0 <= whole.min() < whole.max() < 1
    halves = [
        StepContext(3, 7, 0, 1, part, 2).uniform("mask", (2, 1, 5, 6), cpu) for part in (0, 1)
    ]
    assert torch.stack(halves, 1).flatten(0, 1).equal(whole)


def test_draws_change_with_seed_name_iteration_and_position_only() -> None:
    def draw(seed: int, name: str, iteration: int, *position: int) -> Tensor:
        return torch.rand(
            3, generator=StepContext(seed, iteration).generator(name, "cpu", *position)
        )

    torch.manual_seed(0)
    first = draw(0, "a", 0)
    torch.manual_seed(1)
    assert draw(0, "a", 0).equal(first)
    for other in (draw(1, "a", 0), draw(0, "b", 0), draw(0, "a", 1), draw(0, "a", 0, 1)):
        assert not other.equal(first)


def test_batch_norm_of_all_ranks_is_torchs_on_one() -> None:
    """Several ranks of it are compared with one by the discriminator above."""
    ours, theirs = GlobalBatchNorm2d(3), torch.nn.BatchNorm2d(3)
    x = torch.randn(2, 3, 4, 5)
    assert ours(x).equal(theirs(x))
    assert ours.running_var.equal(theirs.running_var)


def test_an_optimizer_that_would_not_stop_is_refused() -> None:
    learner = learner_of("skd")
    adversary = learner.step.distiller.adversary
    adversary.optimizer = lambda: torch.optim.Adam(adversary.parameters())
    with pytest.raises(ValueError, match="Adam: an SGD, Adam or AdamW with fused=True is needed"):
        Learner(learner.config, learner.step, None, learner.device)
