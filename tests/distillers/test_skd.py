"""SKD: agreement with the port that made the published tables, and what was changed against it."""

import pytest
import torch
from torch import Tensor

from afdcd.distillers.configs import SKDConfig
from afdcd.distillers.discriminator import Discriminator
from afdcd.losses.pairwise import pair_wise, pair_wise_halves
from tests import golden
from tests.distillers.pairs import STEP
from tests.distillers.rivals import CLOSE, agrees, discriminator_state, names_of, output, pair

NOTHING = torch.zeros(1, 8, 8, dtype=torch.int64)


@pytest.mark.parametrize("case", ["skd_pair_5x7", "skd_pair_9x12_b3"])
def test_pair_wise_term_is_the_ports(case: str) -> None:
    maps = golden.rivals(case)
    student = maps["S"].requires_grad_()
    agrees(pair_wise(student, maps["T"]), {"grad_S": student}, case)


def test_pair_wise_term_of_a_node_without_a_feature_is_the_ports_before_the_relu() -> None:
    maps = golden.rivals("skd_pair_zero_node")
    student = maps["S_before_relu"].requires_grad_()
    value = pair_wise(student.relu(), maps["T"])
    agrees(value, {"grad_S_before_relu": student}, "skd_pair_zero_node")


def test_a_node_without_a_feature_takes_no_gradient() -> None:
    """The port gives it one of 1e11, which only a ReLU right before the map hides."""
    student = golden.rivals("skd_pair_zero_node")["S_before_relu"].relu().requires_grad_()
    pair_wise(student, golden.rivals("skd_pair_zero_node")["T"]).backward()
    assert student.grad.abs().max() < 10


def test_pair_wise_term_over_halves_is_that_of_skds_own_code() -> None:
    """Which computes in single precision."""
    case = golden.others("skd_official_pairwise_scale0.5")
    student = case["S"].requires_grad_()
    value = pair_wise_halves(student, case["T"])
    (grad,) = torch.autograd.grad(value, student)
    torch.testing.assert_close(value, case["loss"], rtol=1e-6, atol=0)
    torch.testing.assert_close(grad, case["grad_S"], rtol=0, atol=1e-6 * case["grad_S"].abs().max())


def test_pair_wise_term_in_blocks_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = golden.rivals("skd_pair_9x12_b3")
    student = maps["S"].requires_grad_()
    monkeypatch.setattr("afdcd.losses.pairwise.BLOCK_ELEMENTS", 70)  # rows of one image
    agrees(pair_wise(student, maps["T"]), {"grad_S": student}, "skd_pair_9x12_b3")


@pytest.mark.parametrize(("case", "steps"), [("skd_adv", 2), ("skd_adv_gamma0_wide_map", 1)])
def test_discriminator_plays_as_the_ports(case: str, steps: int) -> None:
    """Outputs, both losses, gradients of both players, and its state after each of its steps."""
    kept = golden.rivals(case)
    player = Discriminator(kept["S"].shape[1], 0.1, width=4).double()
    player.load_state_dict(discriminator_state(kept, "before/"))
    optimizer = player.optimizer()
    for step in range(1, steps + 1):
        shown = [kept[x] if step == 1 else kept[x].flip(3) for x in "ST"]
        student = shown[0].clone().requires_grad_()
        gain = -player.judged(student).mean()
        _close(gain, kept[f"it{step}/loss_G"])
        _close(torch.autograd.grad(gain, student)[0], kept[f"it{step}/grad_S"])
        (loss,) = player(output(shown[0]), output(shown[1]), NOTHING, STEP).values()
        _close(loss, 0.1 * kept[f"it{step}/loss_D"])
        optimizer.zero_grad()
        loss.backward()
        _has_gradients(player, kept, f"it{step}/grad_D_times0.1/")
        optimizer.step()
        after = discriminator_state(kept, f"it{step}/after/")
        for name, value in player.state_dict().items():
            if "key.bias" not in name:  # its gradient is rounding
                torch.testing.assert_close(value, after[name], rtol=1e-7, atol=1e-9, msg=name)


def test_discriminator_of_the_published_width_is_the_ports() -> None:
    kept = golden.rivals("skd_adv_real_width")
    record = golden.record("skd_adv_real_width")
    player = Discriminator(19, 0.1).double()
    trainable = sum(p.numel() for p in player.parameters())
    assert trainable == record["parameters_trainable"]
    ours = {theirs: name for name, theirs in names_of(dict.fromkeys(record["shapes"])).items()}
    state = player.state_dict()
    for place, name in enumerate(record["parameter_order"]):
        _fill(state[ours[name]], name, 1000 + place)
    player.load_state_dict(state)
    student = (3 * _hash(1, (1, 19, 64, 128))).requires_grad_()
    teacher = 4 * _hash(2, (1, 19, 64, 128))
    gain = -player.judged(student).mean()
    _close(gain, kept["loss_G"])
    (grad,) = torch.autograd.grad(gain, student)
    _close(grad[:, :, ::8, ::8], kept["grad_S_0_8"])
    (loss,) = player(output(student.detach()), output(teacher), NOTHING, STEP).values()
    _close(loss, 0.1 * kept["loss_D"])


def test_the_whole_method_is_the_ports() -> None:
    kept = golden.rivals("skd_total")
    distiller = SKDConfig(official=True).build(pair(3, 2, 3)).double()
    distiller.adversary = Discriminator(3, 0.1, width=4).double()
    distiller.adversary.load_state_dict(discriminator_state(kept, "before/"))
    logits, head = kept["S_logits"].requires_grad_(), kept["S"].requires_grad_()
    teacher = output(kept["T_logits"], kept["T"])
    terms = distiller(output(logits, head), teacher, NOTHING, STEP)
    inputs = {"grad_S_logits": logits, "grad_S": head}
    agrees(sum(terms.values()), inputs, "skd_total", "total")


def test_small_logits_are_resized_for_the_discriminator() -> None:
    player = Discriminator(3, 0.1, width=4)
    assert player.judged(torch.randn(2, 3, 45, 45)).isfinite().all()
    crop, small = (360, 360), pair(3)
    (note,) = SKDConfig().notes(small, crop)
    assert "logits of 45x45 are resized to 64x64" in note
    with pytest.raises(ValueError, match=r"takes no logits of 45x45.*adversarial_weight to 0"):
        SKDConfig(official=True).check(small, crop)
    SKDConfig(official=True, adversarial_weight=0).check(small, crop)
    SKDConfig(official=True).check(small, (512, 512))
    assert SKDConfig().notes(small, (512, 512)) == []


def test_without_weight_there_is_no_second_player() -> None:
    distiller = SKDConfig(adversarial_weight=0).build(pair(3))
    assert distiller.adversary is None
    assert not distiller.state_dict()
    assert not SKDConfig(adversarial_weight=0).couples_images
    assert SKDConfig().couples_images


def _close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, **CLOSE)


def _has_gradients(player: Discriminator, kept: dict[str, Tensor], prefix: str) -> None:
    expected = discriminator_state(kept, prefix)
    for name, parameter in player.named_parameters():
        if "key.bias" not in name:
            torch.testing.assert_close(
                parameter.grad, expected[name], rtol=1e-8, atol=1e-12, msg=name
            )


def _fill(value: Tensor, name: str, place: int) -> None:
    """By the rule of the case on record."""
    drawn = _hash(place, tuple(value.shape))
    if name.endswith("gamma"):
        drawn = torch.full_like(value, 0.4 if "attn1" in name else -0.3)
    elif name.endswith(("weight_u", "weight_v")):
        drawn = drawn / drawn.norm()
    elif value.ndim == 1:
        drawn = 0.1 * drawn + (1 if name == "preprocess_additional.weight" else 0)
    else:
        drawn = drawn * (3 / value[0].numel()) ** 0.5 * 1.6
    value.copy_(drawn)


def _hash(case: int, shape: tuple[int, ...]) -> Tensor:
    """The integer hash of the record."""
    import numpy as np

    wide, one = np.uint64(2**32 - 1), np.uint64
    h = np.arange(int(np.prod(shape)), dtype=np.uint64) * one(2654435761)
    h = (h + one(case * 40503 + 12345)) & wide
    h = ((h ^ (h >> one(15))) * one(2246822519)) & wide
    h = ((h ^ (h >> one(13))) * one(3266489917)) & wide
    h = h ^ (h >> one(16))
    return torch.as_tensor(h.astype(np.float64) / 2**31 - 1).view(shape)
