"""WGAN-GP: agreement with the methods' own code, and what may not depend on the number of workers."""

import pytest
import torch
from torch import nn

from afdcd.config import UserError, validate
from afdcd.distillers.configs import CWDConfig, IFVDConfig, SKDConfig
from afdcd.distillers.critic import Critic
from afdcd.distillers.discriminator import Discriminator
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.losses.steepness import gradient_penalty
from afdcd.training.build_learner import synchronise_batch_norm
from afdcd.training.step import DistillationStep
from tests import golden
from tests.distillers.pairs import STEP
from tests.distillers.rivals import CLOSE, Drawn, discriminator_state, output, pair

NOTHING = torch.zeros(1, 8, 8, dtype=torch.int64)
CASE = "skd_official_gradient_penalty"
WGAN = {"adversarial_loss": "wgan-gp"}


def test_penalty_is_that_of_the_methods_own_code() -> None:
    """Value and gradient, which is derived twice; 10 is in the record, as it is in the code."""
    kept = golden.rivals(CASE)
    player = _critic(penalty=10.0)
    step = Drawn(seed=0, iteration=0, maps={"gradient penalty": kept["alpha"]})
    between = player._between(output(kept["S"]), output(kept["T"]), step)
    penalty = 10 * gradient_penalty(player.judged, between)
    torch.testing.assert_close(penalty, kept["loss"], **CLOSE)
    penalty.backward()
    expected = discriminator_state(kept, "grad_D/")
    for name, parameter in player.named_parameters():
        if "key.bias" in name:  # rounding
            continue
        if name not in expected:  # what is added to every place alike has no slope
            assert name == "layers.11.bias" and parameter.grad is None
            continue
        torch.testing.assert_close(parameter.grad, expected[name], **CLOSE, msg=name)


def test_its_terms_are_weighted_and_come_in_the_order_of_the_original() -> None:
    """Student, teacher, then what is between: each call does a power iteration that the next one sees."""
    kept, again = golden.rivals(CASE), _critic(penalty=10.0)
    maps = output(kept["S"]), output(kept["T"])
    terms = _critic(penalty=10.0)(*maps, NOTHING, STEP)
    ours, theirs = again.judged(kept["S"]).mean(), again.judged(kept["T"]).mean()
    torch.testing.assert_close(terms["wasserstein"], 0.1 * (ours - theirs), **CLOSE)
    penalty = gradient_penalty(again.judged, again._between(*maps, STEP))
    torch.testing.assert_close(terms["penalty"], 0.1 * 10 * penalty, **CLOSE)
    assert _critic(penalty=0.0)(*maps, NOTHING, STEP).keys() == {"wasserstein"}


def test_penalty_of_a_plane_is_how_far_its_slope_is_from_one() -> None:
    weights = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    maps = torch.randn(3, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    assert gradient_penalty(lambda x: (weights * x).sum(1), maps).item() == pytest.approx(16.0)


def test_a_critic_that_is_flat_has_a_gradient_without_nan() -> None:
    level = nn.Parameter(torch.zeros(()))
    value = gradient_penalty(lambda x: level * x, torch.ones(2, 1, 2, 2))
    value.backward()
    assert value == 1 and level.grad == 0


def test_each_image_has_its_own_place_between_the_two() -> None:
    """Drawn for the whole batch, so that ranks mix as one process does."""
    ours, theirs = torch.zeros(4, 2, 64, 64), torch.ones(4, 2, 64, 64)
    whole = Critic(2, 0.1, 4, penalty=1.0)._between(output(ours), output(theirs), STEP)
    shares = whole[:, 0, 0, 0]
    assert len(shares.unique()) == 4 and 0 <= shares.min() < shares.max() < 1
    assert whole.equal(shares.view(4, 1, 1, 1).expand_as(whole))


def test_maps_of_two_strides_and_small_ones_are_mixed_as_the_layers_see_them() -> None:
    player = Critic(2, 0.1, 4, penalty=1.0)
    small, fine = torch.randn(2, 2, 20, 40), torch.randn(2, 2, 40, 80)
    assert player._between(output(small), output(fine), STEP).shape == (2, 2, 64, 64)
    for term in player(output(small), output(fine), NOTHING, STEP).values():
        assert term.isfinite()


def test_its_batch_norm_is_not_synchronised_by_torch_which_cannot_be_derived_twice() -> None:
    for config, kept in ((SKDConfig(), False), (SKDConfig(**WGAN), True)):
        step = DistillationStep(None, config.build(pair(3)), 0.4)
        state = list(step.state_dict())
        synchronise_batch_norm(step)
        first = step.distiller.adversary.layers[0]
        assert isinstance(first, GlobalBatchNorm2d if kept else nn.SyncBatchNorm)
        assert list(step.state_dict()) == state


def test_the_setting_says_who_plays_and_how() -> None:
    hinge, critic = (SKDConfig(**s).build(pair(3)).adversary for s in ({}, WGAN))
    assert type(hinge) is Discriminator and type(critic) is Critic
    assert critic.penalty == 10.0
    for recipe, kind, decay in (
        ("adam", torch.optim.Adam, 0),
        ("adam-scheduled", torch.optim.Adam, 0),
        ("sgd-scheduled", torch.optim.SGD, 5e-4),
    ):
        config = SKDConfig(discriminator_optimizer=recipe, **WGAN)
        optimizer = config.build(pair(3)).adversary.optimizer()
        assert type(optimizer) is kind and optimizer.defaults["weight_decay"] == decay
    with pytest.raises(UserError, match="adversarial_loss"):
        validate(SKDConfig, {"method": "skd", "adversarial_loss": "wgan"})


# What a run's identity held before there was a choice of losses.
OF_THEN = {
    "official": False,
    "kd_weight": 1.0,
    "temperature": 1.0,
    "adversarial_weight": 1e-3,
    "discriminator_weight": 0.1,
}


@pytest.mark.parametrize(
    ("config", "own"),
    [
        (SKDConfig, {"method": "skd", "pair_weight": 10.0, "pair": "places"}),
        (IFVDConfig, {"method": "ifvd", "ifv_weight": 20.0}),
        (
            CWDConfig,
            {
                "method": "cwd",
                "feature_weight": 50.0,
                "logits_weight": 3.0,
                "channel_temperature": 4.0,
            },
        ),
    ],
)
def test_a_run_of_before_there_was_a_choice_is_still_the_same(config: type, own: dict) -> None:
    assert config().identity() == {**OF_THEN, **own}
    published = config(preset="cityscapes-deeplabv3-resnet18").identity()
    published.pop("clip_adapters", None)  # CWD's is not clipped any more
    assert published == {**OF_THEN, **own, "official": True}
    assert config(gradient_penalty=1.0).identity() == config().identity()  # hinge has none
    nobody = config(adversarial_weight=0.0, discriminator_optimizer="sgd-scheduled", **WGAN)
    assert nobody.identity() == config(adversarial_weight=0.0).identity()
    others = [
        WGAN,
        {**WGAN, "gradient_penalty": 1.0},
        {"discriminator_optimizer": "adam-scheduled"},
    ]
    found = [str(config(**settings).identity()) for settings in ({}, *others)]
    assert len(set(found)) == len(found)


def test_the_methods_own_settings_are_presets() -> None:
    """Logits KD in our units: SKD's is a sum over 8 images, IFVD's and CWD's a mean over 19 classes."""
    skd, ifvd, cwd = (
        config(preset="cityscapes-pspnet-resnet18") for config in (SKDConfig, IFVDConfig, CWDConfig)
    )
    assert (skd.kd_weight, skd.pair_weight, skd.pair) == (10 * 8, 0.5, "halves")
    assert (skd.adversarial_weight, skd.discriminator_weight) == (0.1, 0.1)
    assert ifvd.ifv_weight == 200 and ifvd.kd_weight == cwd.kd_weight == pytest.approx(10 / 19)
    assert (cwd.feature_weight, cwd.logits_weight, cwd.channel_temperature) == (0, 3, 4)
    for config, recipe in ((skd, "sgd"), (ifvd, "adam"), (cwd, "adam")):
        assert (config.adversarial_loss, config.gradient_penalty) == ("wgan-gp", 10)
        assert config.discriminator_optimizer == f"{recipe}-scheduled"


@pytest.mark.parametrize(("case", "times"), [("kd_ifvd_or_cwd", 1 / 19), ("kd_skd", 8)])
def test_logits_kd_of_their_code_is_so_many_times_ours(case: str, times: float) -> None:
    """Oracles: a KL whose mean is over classes, too; a cross-entropy summed over images, not places."""
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(8, 19, 3, 4, generator=generator).double() for _ in range(2))
    student = ours.requires_grad_()
    log_p, q = student.log_softmax(1), theirs.softmax(1)
    theirs_of = {
        "kd_skd": -(q * log_p).sum() / (3 * 4),
        "kd_ifvd_or_cwd": (q * (q.log() - log_p)).mean(),
    }
    (expected,) = torch.autograd.grad(theirs_of[case], student)
    config = SKDConfig(kd_weight=times, pair_weight=0, adversarial_weight=0)
    terms = config.build(pair(19))(output(student), output(theirs), NOTHING, STEP)
    (found,) = torch.autograd.grad(terms["kd"], student)
    torch.testing.assert_close(found, expected, **CLOSE)


def _critic(penalty: float) -> Critic:
    kept = golden.rivals(CASE)
    player = Critic(kept["S"].shape[1], 0.1, 4, penalty=penalty).double()
    player.load_state_dict(discriminator_state(kept, "before/"))
    return player
