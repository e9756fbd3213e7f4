"""CIRKD: agreement with the official code over several steps, and what was changed against it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from afdcd.distillers.cirkd import CIRKD
from afdcd.distillers.configs import CIRKDConfig
from afdcd.distillers.memory import Ring, keys_of
from afdcd.losses.labels import labels_on_grid
from tests import golden
from tests.distillers.pairs import STEP
from tests.distillers.rivals import CLOSE, Drawn, agrees, output, pair

MINIBATCH = {"kd_weight": 0, "pixel_weight": 0, "region_weight": 0, "minibatch_weight": 1.0}
MEMORY = {"kd_weight": 0, "minibatch_weight": 0, "pixel_weight": 1.0, "region_weight": 1.0}
SIXTEEN = 16


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("cirkd_minibatch_b1", {}),
        ("cirkd_minibatch_b2", {}),
        ("cirkd_minibatch_b4", {"group": 4}),
        ("cirkd_minibatch_pool_5x7", {"pool": 2}),
        ("cirkd_minibatch_tau0.5", {"tau": 0.5}),
    ],
)
def test_minibatch_term_is_the_official_one(case: str, settings: dict[str, Any]) -> None:
    kept = golden.rivals(case)
    student = kept["S"].requires_grad_()
    agrees(_minibatch(student, kept["T"], **settings), {"grad_S": student}, case)


def test_in_blocks_it_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = golden.rivals("cirkd_minibatch_b2")
    student = kept["S"].requires_grad_()
    monkeypatch.setattr("afdcd.losses.affinity.BLOCK_ELEMENTS", 4 * 15)  # 4 of 15 rows
    agrees(_minibatch(student, kept["T"]), {"grad_S": student}, "cirkd_minibatch_b2")


def test_a_batch_of_several_groups_is_the_mean_of_them() -> None:
    kept = golden.rivals("cirkd_minibatch_b4")
    halves = [_minibatch(kept["S"][i : i + 2], kept["T"][i : i + 2]) for i in (0, 2)]
    torch.testing.assert_close(_minibatch(kept["S"], kept["T"]), torch.stack(halves).mean())


@pytest.mark.parametrize(
    "case",
    ["cirkd_memory_3it", "cirkd_memory_3it_ignore255_kdT2", "cirkd_memory_3it_enqueue_fixed"],
)
def test_memory_is_the_official_one_over_three_steps(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, gradients, both queues and their positions, running statistics."""
    kept, record = golden.rivals(case), golden.record(case)
    fixed = case.endswith("fixed")
    distiller = _remembering(kept, record, official=True)
    if fixed:  # officially wrapped, but filled with the class's own pixels
        own = lambda *given, official: keys_of(*given, official=False)  # noqa: E731
        monkeypatch.setattr("afdcd.distillers.cirkd.keys_of", own)
    for number in (1, 2, 3):
        prefix = f"it{number}/"
        now = {k.removeprefix(prefix): v for k, v in kept.items() if k.startswith(prefix)}
        student = now["S"].requires_grad_()
        classes = record["classes"]
        step = _drawn(now, classes, own=fixed)
        logits = student.new_zeros(len(student), classes, 2, 2)
        shown = output(logits, student), output(logits, now["T"])
        terms = distiller(*shown, now["label"], step)
        for name in ("pixel", "region"):
            torch.testing.assert_close(terms[name], now[f"loss_{name}"], **CLOSE)
            (found,) = torch.autograd.grad(terms[name], student, retain_graph=True)
            torch.testing.assert_close(found, now[f"grad_S_{name}"], **CLOSE)
        _has_head_gradients(distiller, 0.1 * sum(terms.values()), now)
        _remembers(distiller, now)


@pytest.mark.parametrize("case", ["cirkd_total", "cirkd_total_voc_weights"])
def test_the_whole_method_is_the_official_one(case: str) -> None:
    kept, record = golden.rivals(case), golden.record(case)
    memory = 0.01 if "voc" in case else 0.1
    weights = {"kd_weight": 1, "minibatch_weight": 1, "pixel_weight": memory}
    distiller = _remembering(kept, record, official=True, **weights, region_weight=memory)
    logits, head = kept["S_logits"].requires_grad_(), kept["S"].requires_grad_()
    step = _drawn(kept, record["classes"], own=False)
    teacher = output(kept["T_logits"], kept["T"])
    terms = distiller(output(logits, head), teacher, kept["label"], step)
    torch.testing.assert_close(sum(terms.values()) + kept["task"], kept["total"], **CLOSE)
    (found,) = torch.autograd.grad(sum(terms.values()), head, retain_graph=True)
    torch.testing.assert_close(found, kept["grad_S"], **CLOSE)
    _has_head_gradients(distiller, sum(terms.values()), kept)


def test_a_batch_without_labels_teaches_nothing() -> None:
    """Officially its value is nan."""
    distiller = CIRKDConfig(**MEMORY, pixel_memory=20, region_memory=4).build(pair(3, 4, 5))
    before = {
        name: value.clone() for name, value in distiller.named_buffers() if "head" not in name
    }
    head = torch.randn(2, 4, 6, 6).requires_grad_()
    shown = (
        output(torch.zeros(2, 3, 2, 2), head),
        output(torch.zeros(2, 3, 2, 2), torch.randn(2, 5, 6, 6)),
    )
    terms = distiller(*shown, torch.full((2, 48, 48), 255), STEP)
    assert all(value == 0 for value in terms.values())
    sum(terms.values()).backward()
    assert not head.grad.any()
    for name, value in distiller.named_buffers():
        assert "head" in name or value.equal(before[name]), name


def test_the_pixel_queue_holds_pixels_of_the_class_but_officially() -> None:
    """The teacher's feature says the class, so that what is remembered can be read."""
    classes, labels = 3, torch.zeros(1, 8, 8, dtype=torch.int64)
    labels[:, 4:] = 1
    labels[:, :, 6:] = 255
    teacher = torch.eye(classes)[labels.clamp(max=2)].permute(0, 3, 1, 2).contiguous()
    for official, wrong in ((False, False), (True, True)):
        config = CIRKDConfig(**MEMORY, pixel_memory=20, region_memory=4, official=official)
        distiller = config.build(pair(classes, 2, classes))
        logits = torch.zeros(1, classes, 2, 2)
        shown = output(logits, torch.randn(1, 2, 8, 8)), output(logits, teacher)
        distiller(*shown, labels, STEP)
        of_second = distiller.memory.pixels.vectors[1, :SIXTEEN]
        expected = torch.eye(classes)[1].expand(SIXTEEN, -1)
        assert of_second.equal(expected) != wrong
        assert distiller.memory.pixels.position.tolist() == [16, 16, 0]


def test_a_ring_loses_nothing_where_it_ends() -> None:
    ring = Ring(1, 5, 1)
    for start in (0, 3, 6):
        ring.add(torch.arange(start, start + 3.0).view(1, 3, 1), torch.tensor([3]), official=False)
    assert ring.vectors.flatten().tolist() == [5, 6, 7, 8, 4]
    assert ring.position.tolist() == [4]


def test_a_dead_feature_takes_no_gradient() -> None:
    student = golden.rivals("cirkd_minibatch_b2")["S"].clone()
    student[0, :, 1, 1] = 0
    student.requires_grad_()
    _minibatch(student, golden.rivals("cirkd_minibatch_b2")["T"]).backward()
    assert student.grad.abs().max() < 100


def test_what_it_will_remember_is_told_beforehand() -> None:
    (note,) = CIRKDConfig().notes(pair(19, 128, 256), (512, 1024))
    assert "takes 0.4 GB on every worker" in note
    assert CIRKDConfig(pixel_weight=0, region_weight=0).notes(pair(19, 128, 256), (64, 64)) == []


def _minibatch(student: Tensor, teacher: Tensor, **settings: Any) -> Tensor:
    distiller = CIRKDConfig(**MINIBATCH, **settings).build(pair(2))
    logits = student.new_zeros(len(student), 2, 2, 2)
    nothing = torch.zeros(len(student), 8, 8, dtype=torch.int64)
    (value,) = distiller(output(logits, student), output(logits, teacher), nothing, STEP).values()
    return value


def _remembering(kept: dict[str, Tensor], record: dict[str, Any], **settings: Any) -> CIRKD:
    """The method as the record has it at its first step."""
    classes = record["classes"]
    queues = {
        "pixel_memory": record["pixel_memory"],
        "region_memory": record["region_memory"],
        "pixel_contrast": (record["pixel_contrast"] - 1) * classes,
        "region_contrast": (record["region_contrast"] - 1) * classes,
        "memory_temperature": record.get("contrast_kd_temperature", 1.0),
    }
    config = CIRKDConfig(**{**MEMORY, **settings}, **queues)
    theirs, ours = kept["init/project_head.0.weight"].shape[:2]
    distiller = config.build(pair(classes, ours, theirs)).double()
    state = {
        "memory.pixels.vectors": kept["init/teacher_pixel_queue"],
        "memory.pixels.position": kept["init/pixel_queue_ptr"],
        "memory.regions.vectors": kept["init/teacher_segment_queue"],
        "memory.regions.position": kept["init/segment_queue_ptr"],
    }
    start = "init/project_head."
    state |= {f"memory.head.{k.removeprefix(start)}": v for k, v in kept.items() if start in k}
    distiller.load_state_dict(state)
    return distiller


def _drawn(now: dict[str, Tensor], classes: int, *, own: bool) -> Drawn:
    """The recorded permutations as priorities: of a class's pixels, or of an image's first ones."""
    orders = [now[key] for key in sorted(key for key in now if key.startswith("perm_"))]
    labels = labels_on_grid(now["label"], now["S"].shape[2:], classes).flatten(1)
    priorities = torch.zeros(len(labels), classes, labels.shape[1], dtype=torch.float64)
    following = iter(orders)
    for image, of_image in enumerate(labels):
        for k in of_image[of_image >= 0].unique().tolist():
            order = next(following)
            pixels = (of_image == k).nonzero().flatten()
            assert len(order) == len(pixels)
            places = pixels[order] if own else order
            priorities[image, k, places] = 1 - torch.arange(len(order)).double() / len(order) / 2
    slots = {"cirkd pixel slots": next(following), "cirkd region slots": next(following)}
    return Drawn(seed=0, iteration=0, maps={"cirkd keys": priorities}, orders=slots)


def _has_head_gradients(distiller: CIRKD, value: Tensor, now: dict[str, Tensor]) -> None:
    named = dict(distiller.memory.head.named_parameters())
    found = torch.autograd.grad(value, list(named.values()))
    for name, gradient in zip(named, found, strict=True):
        torch.testing.assert_close(gradient, now[f"grad/{name}"], **CLOSE)


def _remembers(distiller: CIRKD, now: dict[str, Tensor]) -> None:
    memory = distiller.memory
    for ours, theirs in (
        (memory.pixels.vectors, "teacher_pixel_queue"),
        (memory.pixels.position, "pixel_queue_ptr"),
        (memory.regions.vectors, "teacher_segment_queue"),
        (memory.regions.position, "segment_queue_ptr"),
        (memory.head[1].running_mean, "running_mean"),
        (memory.head[1].running_var, "running_var"),
    ):
        torch.testing.assert_close(ours, now[f"after/{theirs}"], **CLOSE, msg=theirs)
