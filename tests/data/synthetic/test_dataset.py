from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.shards.parquet import check_shards
from afdcd.data.shards.rows import open_split
from afdcd.data.synthetic import dataset
from afdcd.data.synthetic.dataset import (
    FRAMES_PER_SCENE,
    SyntheticConfig,
    ensure_synthetic,
    prepare_synthetic,
    render,
)
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import prepared_root

SMALL = SyntheticConfig(height=64, width=64, train=30, val=1, test=1)


def _share(labels: list[np.ndarray], name: str) -> float:
    return float(np.mean([label == SYNTHETIC.classes.index(name) for label in labels]))


def test_equal_arguments_give_equal_pictures() -> None:
    first, second = render(3, 8, 96, 128), render(3, 8, 96, 128)
    assert first[0].shape == (96, 128, 3)
    assert first[0].dtype == first[1].dtype == np.uint8
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_seed_scene_and_frame_all_change_the_picture() -> None:
    reference, _ = render(3, 0, 64, 64)
    for seed, index in ((4, 0), (3, 1), (3, FRAMES_PER_SCENE)):
        assert np.abs(render(seed, index, 64, 64)[0].astype(int) - reference).mean() > 3


def test_frames_of_a_scene_look_more_alike_than_scenes() -> None:
    colours = [[render(0, 6 * s + f, 64, 64)[0].mean((0, 1)) for f in (0, 5)] for s in range(8)]
    within = np.mean([np.std(scene, axis=0).mean() for scene in colours])
    between = np.std([np.mean(scene, axis=0) for scene in colours], axis=0).mean()
    assert between > 3 * within


def test_streets_hold_every_class_in_plausible_shares() -> None:
    labels = [render(0, index, 96, 128)[1] for index in range(0, 90, 6)]
    values = set(np.unique(labels).tolist())
    assert values == {*range(len(SYNTHETIC.classes)), IGNORE}
    for name, low, high in [
        ("sky", 0.04, 0.25),
        ("building", 0.1, 0.4),
        ("road", 0.2, 0.5),
        ("pavement", 0.02, 0.2),
        ("tree", 0.04, 0.3),
        ("pole", 0.004, 0.04),
        ("car", 0.02, 0.2),
        ("pedestrian", 0.003, 0.04),
    ]:
        assert low < _share(labels, name) < high, name
    assert 0.01 < np.mean(np.array(labels) == IGNORE) < 0.12


def test_sky_is_above_and_road_below() -> None:
    labels = [render(1, index, 96, 128)[1] for index in range(0, 30, 6)]
    assert _share([label[60:] for label in labels], "sky") == 0
    assert _share([label[:30] for label in labels], "road") == 0


def test_colour_alone_does_not_give_the_class_away() -> None:
    """A nearest-mean-colour classifier, fitted on other scenes, stays poor."""
    classes = len(SYNTHETIC.classes)
    fit, test = ([render(seed, i, 64, 64) for i in range(0, 60, 6)] for seed in (0, 1))
    pixels = np.concatenate([image.reshape(-1, 3) for image, _ in fit]).astype(float)
    ids = np.concatenate([label.ravel() for _, label in fit])
    means = np.stack([pixels[ids == k].mean(0) for k in range(classes)])
    shown = np.concatenate([image.reshape(-1, 3) for image, _ in test]).astype(float)
    truth = np.concatenate([label.ravel() for _, label in test])
    guess = ((shown[:, None] - means) ** 2).sum(2).argmin(1)
    hits = [((guess == k) & (truth == k)).sum() for k in range(classes)]
    unions = [(((guess == k) | (truth == k)) & (truth != IGNORE)).sum() for k in range(classes)]
    assert np.mean(np.divide(hits, unions)) < 0.3


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("synthetic"))
    prepare_synthetic(folder, SMALL)
    return folder


@pytest.fixture
def tiny_default(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = SMALL.updated(train=2)
    monkeypatch.setattr(dataset, "SyntheticConfig", lambda: tiny)


def test_manifest_tells_what_was_rendered(root: str) -> None:
    manifest = read_manifest(root, "synthetic")
    check_shards(root, manifest)
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [30, 1, 1]
    assert manifest.options == SMALL.plain()
    assert sum(manifest.pixels["train"]) == 30 * 64 * 64


def test_first_use_renders_and_later_use_does_not(tiny_default: None, tmp_path: Path) -> None:
    config = DataConfig(dataset="synthetic", crop=(64, 64))
    root = prepared_root(config, str(tmp_path))
    check_shards(root, read_manifest(root, "synthetic"))
    times = {path.name: path.stat().st_mtime_ns for path in Path(root).iterdir()}
    assert prepared_root(config, str(tmp_path)) == root
    assert times == {path.name: path.stat().st_mtime_ns for path in Path(root).iterdir()}


def test_dev_protocol_holds_whole_scenes_out(root: str) -> None:
    rows = {role: open_split(root, "synthetic", "dev", role) for role in ("train", "val", "test")}
    assert {role: len(found) for role, found in rows.items()} == {"train": 24, "val": 6, "test": 1}
    assert {rows["val"].key(i)[:9] for i in range(6)} == {"train0004"}


def test_splits_show_different_scenes(root: str) -> None:
    firsts = [open_split(root, "synthetic", "official", s)[0][1] for s in ("train", "val", "test")]
    assert not np.array_equal(firsts[0], firsts[1])
    assert not np.array_equal(firsts[1], firsts[2])


def test_simultaneous_first_uses_agree(tiny_default: None, tmp_path: Path) -> None:
    root = str(tmp_path / "new")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(ensure_synthetic, [root] * 3))
    check_shards(root, read_manifest(root, "synthetic"))
    assert sorted(path.suffix for path in Path(root).iterdir()) == [".json", *[".parquet"] * 4]
