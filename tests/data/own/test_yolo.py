"""YOLO polygons: data.yaml, label files, and what Ultralytics makes of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afdcd.config import UserError
from afdcd.data.catalog.labels import View
from afdcd.data.images import PictureError
from afdcd.data.own.drawings import label as drawings_label
from afdcd.data.own.drawings.yolo import YoloAreas
from afdcd.data.own.forms.yolo import find_yolo
from afdcd.data.own.found import UNCOVERED, Found, Hints
from afdcd.data.own.tree import Tree
from tests.data.own.drawn_sets import found, names, pixels, write

YAML = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['car', 'tree']\n"
HALF = "0 0 0 0.5 0 0.5 1 0 1\n"  # 24 of 48 pixels
QUARTER = "1 0 0 0.5 0 0.5 0.5 0 0.5\n"
FILES: dict[str, Any] = {
    "data.yaml": YAML,
    "train/images/a.jpg": None,
    "train/labels/a.txt": HALF,
    "valid/images/b.jpg": None,
    "valid/labels/b.txt": QUARTER,
}


def _set(root: Path, **more: Any) -> Found:
    return found(find_yolo, write(root, FILES | more))


def _counts(root: Path, label: str) -> dict[str, int]:
    result = found(find_yolo, write(root, FILES | {"train/labels/a.txt": label}))
    return pixels(root, result, next(item for item in result.items if item.key == "a"))


def test_background_is_an_extra_class_at_the_end(tmp_path: Path) -> None:
    result = _set(tmp_path)
    assert names(result) == ["car", "tree", "background"]
    assert [(item.key, item.split, item.label) for item in result.items] == [
        ("a", "train", "train/labels/a.txt"),
        ("b", "val", "valid/labels/b.txt"),
    ]
    assert pixels(tmp_path, result, result.items[1]) == {
        "car": 0,
        "tree": 12,
        "background": 36,
        "ignored": 0,
    }


def test_with_one_class_background_is_the_first(tmp_path: Path) -> None:
    yaml = YAML.replace("['car', 'tree']", "[road]").replace("nc: 2", "nc: 1")
    result = _set(tmp_path, **{"data.yaml": yaml, "valid/labels/b.txt": HALF})
    assert names(result) == ["background", "road"]
    assert pixels(tmp_path, result, result.items[0])["road"] == 24


def test_names_may_be_a_mapping_and_hold_a_background(tmp_path: Path) -> None:
    yaml = "train: train/images\nval: valid/images\nnames:\n  1: no\n  0: background\n"
    result = _set(tmp_path, **{"data.yaml": yaml})
    assert names(result) == ["background", "no"]
    assert result.said.names[UNCOVERED] == "background"


def test_smaller_areas_lie_over_larger_ones_whatever_their_order(tmp_path: Path) -> None:
    for label in (HALF + QUARTER, QUARTER + HALF):
        assert _counts(tmp_path, label) == {"car": 12, "tree": 12, "background": 24, "ignored": 0}


def test_of_equal_areas_the_later_lies_above(tmp_path: Path) -> None:
    again = HALF.replace("0 ", "1 ", 1)
    assert _counts(tmp_path, HALF + again)["tree"] == 24
    assert _counts(tmp_path, again + HALF)["car"] == 24


@pytest.mark.parametrize("label", ["", "\n\n", None])
def test_no_label_is_all_background(tmp_path: Path, label: str | None) -> None:
    write(tmp_path, FILES)
    (tmp_path / "train/labels/a.txt").unlink()
    if label is not None:
        write(tmp_path, {"train/labels/a.txt": label})
    result = found(find_yolo, tmp_path)
    assert pixels(tmp_path, result, result.items[0])["background"] == 48
    assert "train/labels/a.txt" in str(result.items[0].label)


def test_a_label_that_is_a_link_out_of_the_source_is_no_background(tmp_path: Path) -> None:
    write(tmp_path / "set", FILES)
    label = tmp_path / "set/train/labels/a.txt"
    label.rename(tmp_path / "a.txt")
    label.symlink_to(tmp_path / "a.txt")
    result = found(find_yolo, tmp_path / "set")
    assert [item.key for item in result.items] == ["b"]
    assert "train/labels/a.txt: a link out of the source" in result.refused[0]


def test_absolute_folders_are_named_where_they_leave_no_label(tmp_path: Path) -> None:
    yaml = "train: /home/she/train/images\nval: C:\\me\\valid\\images\nnames: [car, tree]\n"
    with pytest.raises(UserError, match=r"2 entries, e\.g\. train: /home/she.*an absolute path"):
        _set(tmp_path, **{"data.yaml": yaml})


def test_texts_of_windows(tmp_path: Path) -> None:
    assert _counts(tmp_path, "\ufeff" + HALF.strip() + "\r\n")["car"] == 24


def test_files_of_boxes_are_refused(tmp_path: Path) -> None:
    box = "0 0.5 0.5 0.2 0.2\n"
    result = _set(tmp_path, **{"train/labels/a.txt": HALF + box})
    assert [item.key for item in result.items] == ["b"]
    assert "train/labels/a.txt: boxes (5 numbers a line)" in result.refused[0]
    with pytest.raises(UserError, match=r"data\.yaml: all 2 label files hold boxes.*polygons"):
        _set(tmp_path, **{"train/labels/a.txt": box, "valid/labels/b.txt": box})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.1 0.1 0.2 0.2 0.3", "odd number"),
        ("0 0.1 0.1", "fewer than 3 points"),
        ("0 0.1 0.1 nan 0.2 0.3 0.3", "infinite or no numbers"),
        ("0 0.1 0.1 x 0.2 0.3 0.3", "no numbers"),
        ("0", "fewer than 3 points"),
    ],
)
def test_lines_that_enclose_nothing_are_told_and_left_out(
    tmp_path: Path, line: str, reason: str
) -> None:
    result = _set(tmp_path, **{"train/labels/a.txt": f"{HALF}{line}\n"})
    assert pixels(tmp_path, result, result.items[0])["car"] == 24
    (told,) = result.refused
    assert told.startswith("train/labels/a.txt: line 2: ")
    assert reason in told


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("5 0 0 1 0 1 1\n", "class 5 has no name"),
        ("car 0 0 1 0 1 1\n", "begins with 'car'"),
        ("-1 0 0 1 0 1 1\n", "begins with '-1'"),
        ("0.5 0 0 1 0 1 1\n", "begins with '0.5'"),
        ("0 0 0 640 0 640 480\n", "coordinates beyond 1: pixels"),
        (b"\xff\xfe\x00\x01", "no text"),
    ],
)
def test_a_file_that_means_something_else_is_refused(
    tmp_path: Path, label: str | bytes, reason: str
) -> None:
    result = _set(tmp_path, **{"train/labels/a.txt": label})
    assert [item.key for item in result.items] == ["b"]
    assert reason in result.refused[0]


def test_a_little_over_the_edge_is_cut_off(tmp_path: Path) -> None:
    assert _counts(tmp_path, "0 -0.01 -0.01 1.01 -0.01 1.01 1.01 -0.01 1.01\n")["car"] == 48


@pytest.mark.parametrize(
    ("train", "path"),
    [
        ("train/images", ""),
        ("./train/images/", ""),
        ("../train/images", "path: ../datasets/mine\n"),
        ("train/images", "path: /home/somebody/datasets\n"),
        ("images", "path: train\n"),
        ("train\\images", ""),
        ("[train/images]", ""),
        ("list.txt", ""),
        ("[list.txt]", ""),
    ],
)
def test_folders_count_from_the_yaml(tmp_path: Path, train: str, path: str) -> None:
    text = f"{path}train: {train}\nval: {'../' if path else ''}valid/images\nnames: [car, tree]\n"
    lines = "./train/images/a.jpg\n"
    base = "sub/" if path.startswith("path: t") else ""
    files = {f"{base}{name}": content for name, content in FILES.items()}
    result = found(
        find_yolo, write(tmp_path, files | {f"{base}data.yaml": text, "list.txt": lines})
    )
    assert [item.split for item in result.items] == ["train", "val"]
    assert result.refused == ()


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("../../etc", "leads out"),
        ("../gone/images", "no such folder or list"),
        ("/etc", "an absolute path"),
        ("https://example.org/x.zip", "an address"),
        ("test/images", "no such folder"),
        ("5", "neither a folder nor a list"),
    ],
)
def test_entries_that_name_nothing_here(tmp_path: Path, entry: str, reason: str) -> None:
    result = _set(tmp_path, **{"data.yaml": f"{YAML}test: {entry}\n"})
    assert len(result.items) == 2
    (told,) = result.refused
    assert told.startswith(f"data.yaml: test: {entry}: ")
    assert reason in told


def test_lines_of_lists_that_name_nothing_here(tmp_path: Path) -> None:
    lines = "train/images/a.jpg\n../../etc/passwd\n/etc/passwd\ngone.jpg\ntrain/labels/a.txt\n"
    yaml = YAML.replace("../train/images", "train.txt")
    result = _set(tmp_path, **{"train.txt": lines, "data.yaml": yaml})
    assert [item.key for item in result.items] == ["a", "b"]
    assert len(result.refused) == 3
    assert "2 entries, e.g. gone.jpg" in result.refused[2]


def test_a_picture_in_two_splits_is_left_out(tmp_path: Path) -> None:
    yaml = YAML.replace("../valid/images", "[../valid/images, ../train/images]")
    result = _set(tmp_path, **{"data.yaml": yaml})
    assert [item.key for item in result.items] == ["b"]
    assert (
        "train/images/a.jpg: named twice (train of data.yaml and val of data.yaml)"
        in (result.refused[0])
    )


def test_pictures_that_a_list_repeats_count_once(tmp_path: Path) -> None:
    yaml = YAML.replace("../train/images", "[../train/images, ../train]")
    assert len(_set(tmp_path, **{"data.yaml": yaml}).items) == 2


def test_labels_lie_where_the_last_images_folder_says(tmp_path: Path) -> None:
    files = {
        "data.yaml": "train: my/images/set/images\nval: flat\nnames: [car, tree]\n",
        "my/images/set/images/x/a.jpg": None,
        "my/images/set/labels/x/a.txt": HALF,
        "flat/b.jpg": None,
        "flat/b.txt": QUARTER,
        "stray.png": None,
    }
    result = found(find_yolo, write(tmp_path, files))
    assert [item.label for item in result.items] == ["flat/b.txt", "my/images/set/labels/x/a.txt"]
    assert result.unlisted == ("stray.png",)


@pytest.mark.parametrize(
    ("yaml", "reason"),
    [
        ("train: train/images\nnc: 2\n", "names: no class names"),
        ("train: train/images\nnames: []\n", "names: no class names"),
        ("train: train/images\nnames: car\n", "names: no class names"),
        ("train: train/images\nnames: {car: 0}\n", "names: no class names"),
        ("train: train/images\nnames: [[car]]\n", "names: no class names"),
        ("train: train/images\nnc: 3\nnames: [car, tree]\n", "nc: 3, but 2 names"),
        ("train: train/images\nnames: [car\n", "not valid YAML"),
    ],
)
def test_a_yaml_that_says_too_little(tmp_path: Path, yaml: str, reason: str) -> None:
    with pytest.raises(UserError, match=f"data\\.yaml:.*{reason}"):
        _set(tmp_path, **{"data.yaml": yaml})


def test_a_set_without_labels_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, {"data.yaml": YAML, "train/images/a.jpg": None, "valid/images/b.jpg": None})
    with pytest.raises(UserError, match="no label file; they stand in labels/ beside images/"):
        find_yolo(Tree.of(tmp_path), Hints())


@pytest.mark.parametrize(
    "yaml",
    [
        f"{YAML}masks_dir: masks\n",
        "train: {images: a, masks: b}\nnames: [car]\n",
        "classes: [car]\n",
        "names: [car]\n",
    ],
)
def test_yaml_of_other_forms(tmp_path: Path, yaml: str) -> None:
    write(tmp_path, FILES | {"data.yaml": yaml})
    assert find_yolo(Tree.of(tmp_path), Hints()) is None


def test_a_yaml_of_any_name_nearest_to_the_root(tmp_path: Path) -> None:
    files = {name: content for name, content in FILES.items() if name != "data.yaml"}
    write(tmp_path, files | {"coco8-seg.yaml": YAML, "a/deep.yaml": YAML, "bad.yaml": "[1"})
    assert found(find_yolo, tmp_path).said.source == "coco8-seg.yaml"


def test_too_many_lines_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings_label, "MOST_SHAPES", 3)
    with pytest.raises(PictureError, match="4 areas in one picture, at most 3"):
        YoloAreas({UNCOVERED: 1, 0: 0}).draw(HALF.encode() * 4, View(6, 8))


@pytest.mark.parametrize("seed", range(30))
def test_no_text_breaks_it(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = ["0", "1", "7", "0.5", "1e999", "-0.2", "nan", "\n", "\n", "x", "²", "\x00", "9" * 400]
    text = " ".join(words[n] for n in rng.integers(0, len(words), 200))
    try:
        YoloAreas({UNCOVERED: 2, 0: 0, 1: 1}).draw(text.encode(), View(6, 8))
    except PictureError as reason:
        assert ": " in str(reason)
    write(tmp_path, FILES | {"train/labels/a.txt": text})
    assert find_yolo(Tree.of(tmp_path), Hints())
