from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms.v2 import functional as torchvision

from afdcd.data.train import jitter as module
from afdcd.data.train.config import Jitter
from afdcd.data.train.jitter import jitter
from afdcd.search.load import load_space

IMAGE = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8), (60, 40))
ALL = Jitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)


def test_off_leaves_the_image_and_the_generator_alone() -> None:
    rng, untouched = np.random.default_rng(1), np.random.default_rng(1)
    assert jitter(IMAGE, rng, Jitter()) is IMAGE
    assert rng.bit_generator.state == untouched.bit_generator.state


def test_equal_generators_give_equal_colours() -> None:
    first, second, other = (jitter(IMAGE, np.random.default_rng(s), ALL) for s in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert first.shape == IMAGE.shape
    assert first.dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "amount", "levels"),
    [
        *[
            (name, amount, 2)
            for name in ("brightness", "contrast", "saturation")
            for amount in (0, 0.6, 1.7)
        ],
        *[("hue", turn, 12) for turn in (-0.5, -0.1, 0.25)],  # 8-bit HSV counts 256 hues
    ],
)
def test_each_change_is_that_of_torchvision(name: str, amount: float, levels: int) -> None:
    ours = getattr(module, name)(IMAGE, amount)
    adjust = getattr(torchvision, f"adjust_{name}")
    theirs = adjust(torch.from_numpy(IMAGE).permute(2, 0, 1), amount).permute(1, 2, 0).numpy()
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= levels
    assert difference.mean() < 1.5


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_factors_span_one_minus_to_one_plus_the_strength(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[float] = []
    monkeypatch.setattr(module, name, lambda image, factor: (drawn.append(factor), image)[1])
    for strength, low, high in ((0.4, 0.6, 1.4), (2.0, 0.0, 3.0)):
        drawn.clear()
        for seed in range(300):
            jitter(IMAGE, np.random.default_rng(seed), Jitter(**{name: strength}))
        assert (min(drawn), max(drawn)) == pytest.approx((low, high), abs=0.05 * (high - low))
        assert min(drawn) >= low


def test_changes_come_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    orders = set()
    for seed in range(300):
        order: list[str] = []
        for name in ("brightness", "contrast", "saturation", "hue"):
            monkeypatch.setattr(
                module,
                name,
                lambda image, _, name=name, order=order: (order.append(name), image)[1],
            )
        jitter(IMAGE, np.random.default_rng(seed), ALL)
        orders.add(tuple(order))
    assert len(orders) == 24


def test_a_search_may_vary_each_strength(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "data: {dataset: synthetic, root: shards, crop: [64, 64],"
        " jitter: {brightness: {uniform: [0, 0.5]}, hue: {choice: [0, 0.1]}}}\n"
        'pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}\n'
        "distiller: {method: none}\n"
        "training: {iterations: 4, validate_every: 2, batch: 4}\n"
        "study: {trials: 3}\n"
    )
    found = {example.data.jitter for example in load_space(str(file), []).examples}
    assert {j.brightness for j in found} >= {0.0, 0.5}
    assert {j.hue for j in found} == {0.0, 0.1}
    prints = {e.fingerprint("digest") for e in load_space(str(file), []).examples}
    assert len(prints) == len(found)
