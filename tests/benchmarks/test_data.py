"""`python -m benchmarks.data`: fair sides, what its JSON says, what it refuses."""

import json
from collections import Counter
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
import torch

from afdcd.config import UserError
from afdcd.data.shards.rows import open_split
from afdcd.data.train.batch import Batch
from afdcd.data.train.transforms import cut_image, cut_label, draw_window, scale_steps
from benchmarks import data, loaders
from benchmarks.loaders import official, ours, ours_normalised, torchvision
from benchmarks.scenes import KINDS, Kind, Pictures, write_pictures
from tests.bench.clock import FakeClock
from tests.benchmarks.running import main
from tests.reference.official_data import Draw, official_sample

SMALL = {
    "cityscapes": Kind("cityscapes", "cityscapes", (70, 140), (64, 96), jpeg=False),
    "coco": Kind("coco", "coco_stuff", (60, 80), (64, 64), jpeg=True),
}
SIDES = {"ours", "ours, normalised", "official", "torchvision"}


@pytest.fixture(params=SMALL)
def kind(request: pytest.FixtureRequest) -> Kind:
    return SMALL[request.param]


@pytest.fixture
def pictures(kind: Kind, tmp_path: Path) -> Pictures:
    return write_pictures(tmp_path, kind, 3)


def test_ours_is_what_the_official_loader_makes_of_the_files(
    kind: Kind, pictures: Pictures
) -> None:
    """Bit for bit, given the same scale, window and flip."""
    rows = open_split(pictures.root, kind.dataset, "official", "train")
    scales = scale_steps((0.5, 2.0), 0.1)
    for seed in range(40):
        index, rng = seed % 3, np.random.default_rng(seed)
        window = draw_window(rng, kind.size, crop=kind.crop, scales=scales, flip=True)
        step = int(np.flatnonzero(scales == window.scale)[0])
        draws = [step, window.top, window.left, int(not window.flip)]
        expected, classes = official_sample(
            *pictures.files[index], kind.official_table, kind.crop, _replayed(draws)
        )
        row, needed = rows.fetch(index), window.rows(kind.size[0])
        batch = Batch.blank(1, kind.crop)
        image = cut_image(rows.image(index, row, needed), row.height, window)
        label = cut_label(rows.label(index, row, needed), row.height, window)
        batch.put(0, image, label, at_right=window.flip)
        pixels, ids = batch.normalised("caffe")
        ids[ids == 255] = -1
        assert np.array_equal(ids[0].numpy(), classes)
        np.testing.assert_allclose(pixels[0].numpy(), expected, atol=2e-5)  # theirs is float64


def test_sides_load_the_same_pictures(kind: Kind, pictures: Pictures) -> None:
    assert next(ours(kind, pictures)).images.dtype is torch.uint8
    classes = []
    for side in (ours_normalised, official, torchvision):
        seen: set[float] = set()
        for images, labels in islice(side(kind, pictures), 4):
            assert images.shape == (4, 3, *kind.crop)
            assert labels.numel() == images.numel() / 3
            seen |= set(labels.unique().tolist())
        classes.append(seen - {-1, 255})
    assert classes[0] == classes[1] == classes[2]
    assert len(classes[0]) == 8


def test_pictures_are_about_as_large_as_the_real_ones(tmp_path: Path) -> None:
    coco = write_pictures(tmp_path, KINDS["coco"], 1)
    assert 120_000 < coco.image_bytes < 220_000


def test_a_turn_counts_what_its_side_occupies_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(data.time, "process_time", clock)
    calls = {"A": clock.takes(3.0, 1.0), "B": clock.takes(0.5, 0.25)}
    assert data._in_turns(calls, repeats=2) == {"A": [3.0, 1.0], "B": [0.5, 0.25]}


def test_a_phase_is_charged_with_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(loaders.time, "process_time", clock)
    spent: Counter[str] = Counter()
    for name, seconds in (("read", 2.0), ("augment", 1.0), ("augment", 0.5)):
        with loaders._timed(spent, name):
            clock.now += seconds
    assert spent == {"read": 2.0, "augment": 1.5}


def test_says_how_fast_each_side_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, small in SMALL.items():
        monkeypatch.setitem(KINDS, name, small)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    text, values = _bench(capsys, "--pictures", "2", "--images", "4", "--repeats", "2")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    for found in values["kinds"].values():
        rates = found["images_per_second_per_core"]
        assert rates.keys() == SIDES
        for side, turns in found["seconds_per_image"].items():
            assert len(turns) == 2
            assert rates[side] == pytest.approx(1 / median(turns))
        assert found["speedup_official"] == pytest.approx(rates["ours"] / rates["official"])
        assert found["speedup_torchvision"] == pytest.approx(rates["ours"] / rates["torchvision"])
        assert found["cores_for_120_images_per_second"]["ours"] == pytest.approx(
            120 / rates["ours"]
        )
        assert list(found["phases"]) == [
            "read",
            "decode image",
            "decode label",
            "augment",
            "collate",
        ]
        speedups = [found[f"speedup_{side}"] for side in ("official", "torchvision")]
        assert "ours as fast as official {:.2f}x, as torchvision {:.2f}x".format(*speedups) in text
    assert values["threads"] == 1


def test_says_what_a_large_set_takes(capsys: pytest.CaptureFixture[str]) -> None:
    text, values = _bench(capsys, "--memory", "--rows", "300", "--shards", "7", "--batches", "10")
    words = " ".join(text.split())
    assert (values["rows"], values["shards"]) == (300, 7)
    assert values["loading"]["0"].keys() == {"main"}
    assert values["loading"]["2"].keys() == {"main", "loader"}
    for series in values["loading"].values():
        for points in series.values():
            assert [done for done, _ in points] == [2, 4, 6, 8, 10]
            for _, memory in points:
                assert " ".join(f"{memory[of] / 2**20:.1f}" for of in ("rss", "uss")) in words
    taken = values["opened"]["uss"] - values["before"]["uss"]
    assert values["bytes_per_row"] == pytest.approx(taken / 300)
    assert f"{taken / 300:.0f} bytes a row" in words


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--images", "6"], "--images 6: must be a multiple of 4"),
        (["--repeats", "0"], "--repeats 0: must be at least 1"),
        (["--memory", "--rows", "0"], "--rows 0: must be at least 1"),
    ],
)
def test_refuses_what_cannot_be_measured(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(["data", *argv, "--device", "cpu"])


def _replayed(draws: list[int]) -> Draw:
    remaining = iter(draws)
    return lambda low, high: next(remaining)


def _bench(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[str, dict[str, Any]]:
    assert main(["data", *argv, "--device", "cpu", "--json"]) == 0
    text, _, last = capsys.readouterr().out.rstrip().rpartition("\n")
    return text, json.loads(last)
