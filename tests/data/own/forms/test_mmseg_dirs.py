"""mmsegmentation's folders, with and without lists."""

from pathlib import Path

from afdcd.data.own.forms.mmseg_dirs import mmseg_dirs
from afdcd.data.own.found import Hints
from afdcd.data.own.tree import Tree
from tests.data.own.sets import agrees_with_sample, made, recognised, shape, written
from tests.samples import SAMPLES, needs_samples

FILES = [
    "img_dir/train/a.jpg",
    "img_dir/train/c.jpg",
    "img_dir/val/b.jpg",
    "ann_dir/train/a.png",
    "ann_dir/train/c.png",
    "ann_dir/val/b.png",
]


def test_folders_say_the_splits(tmp_path: Path) -> None:
    found = recognised(mmseg_dirs, made(tmp_path / "data", *FILES, "preview.png"))
    assert {item.key: item.split for item in found.items} == {
        "a": "train",
        "b": "val",
        "c": "train",
    }
    assert found.form.startswith("mmsegmentation")


def test_lists_name_stems_below_the_prefix(tmp_path: Path) -> None:
    """The config's `ann_file` goes before the folder that a picture lies in."""
    made(tmp_path, *FILES)
    written(tmp_path, "splits/train.txt", "train/a\n")
    written(tmp_path, "splits/val.txt", "b\ntrain/c\n")
    found = recognised(mmseg_dirs, tmp_path)
    assert shape(found)["c"] == ("img_dir/train/c.jpg", "ann_dir/train/c.png", "val")
    assert {item.key: item.split for item in found.items} == {"a": "train", "b": "val", "c": "val"}


def test_only_one_of_its_folders_is_another_form(tmp_path: Path) -> None:
    assert mmseg_dirs(Tree.of(made(tmp_path, "img_dir/a.jpg", "masks/a.png")), Hints()) is None


@needs_samples
def test_sample() -> None:
    found = recognised(mmseg_dirs, SAMPLES / "own/mmseg_dirs/source")
    assert found.mask_suffix == "_gt"
    agrees_with_sample("mmseg_dirs", found, {1: "car", 2: "tree", 3: "pole"}, ignored={0})
