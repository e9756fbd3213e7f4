"""Lists as people write them: each line means one picture, or is refused by its number."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.own.found import Item
from afdcd.data.own.lists import Assigned, assign, find_lists
from afdcd.data.own.tree import Tree

ITEMS = (
    Item("a1", "img_dir/train/a1.jpg", "ann_dir/train/a1_gt.png", "train"),
    Item("v1.2", "img_dir/train/v1.2.jpg", "ann_dir/train/v1.2_gt.png", "train"),
    Item("b 1", "img_dir/val/b 1.jpg", "ann_dir/val/b 1_gt.png", "val"),
    Item("b", "img_dir/val/b.jpg", "ann_dir/val/b_gt.png", "val"),
    Item("m\u00fc", "img_dir/val/mu\u0308.JPG", "ann_dir/val/mu\u0308_gt.png", "val"),
    Item("n/0", "img_dir/train/n/0.jpg", "ann_dir/train/n/0_gt.png", "train"),
    Item("s/0", "img_dir/val/s/0.jpg", "ann_dir/val/s/0_gt.png", "val"),
    Item("t/0", "img_dir/val/t/0.jpg", "ann_dir/val/t/0_gt.png", "val"),
)


def assigned(
    folder: Path, train: str | bytes, items: tuple[Item, ...] = ITEMS, name: str = "train.txt"
) -> Assigned:
    (folder / "splits").mkdir(exist_ok=True)
    data = train if isinstance(train, bytes) else train.encode()
    (folder / "splits" / name).write_bytes(data)
    tree = Tree.of(folder)
    return assign(tree, items, find_lists(tree))


def trained(found: Assigned) -> list[str]:
    return [item.key for item in found.items if item.split == "train"]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("a1", "a1"),
        ("train/a1", "a1"),
        ("a1.jpg", "a1"),
        ("a1.PNG", "a1"),
        ("img_dir/train/a1.jpg", "a1"),
        ("./img_dir/train/a1.jpg", "a1"),
        ("/img_dir/train/a1.jpg", "a1"),
        ("../img_dir/train/a1.jpg", "a1"),
        (r"img_dir\train\a1.jpg", "a1"),
        ("a1_gt.png", "a1"),
        ("a1.jpg a1_gt.png", "a1"),
        ("/train/a1.jpg train/a1_gt.png", "a1"),
        ("a1.jpg\ta1_gt.png", "a1"),
        ("a1.jpg, ann_dir/train/a1_gt.png", "a1"),
        ("a1.jpg,a1_gt.png,0.5", "a1"),
        ("a1 1", "a1"),
        ('"a1.jpg"', "a1"),
        ("v1.2", "v1.2"),
        ("v1.2.jpg", "v1.2"),
        ("b 1.jpg", "b 1"),  # and not `b` with a second column
        ("b 1", "b 1"),
        ("val/b 1.jpg val/b 1_gt.png", "b 1"),
        ("m\u00fc", "m\u00fc"),
        ("val/mu\u0308.jpg", "m\u00fc"),
        ("n/0", "n/0"),
        ("0", "n/0"),  # the only one of this stem whose folder says the list's split
    ],
)
def test_line_names_a_picture(line: str, key: str, tmp_path: Path) -> None:
    found = assigned(tmp_path, f"\n# a comment\n{line}\n")
    assert trained(found) == [key]
    assert not found.refused


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("zz", "'zz' names no picture"),
        ("../../etc/passwd", "names no picture"),
        ("/home/x/a1.jpg", "names no picture"),
        ("a1.jpg v1.2_gt.png", "may be a1 and v1.2: write its folder, too, and one picture a line"),
    ],
)
def test_line_that_names_nothing_is_refused_by_its_number(
    line: str, reason: str, tmp_path: Path
) -> None:
    found = assigned(tmp_path, f"v1.2\n\n{line}\nn/0\n")
    assert trained(found) == ["v1.2", "n/0"]
    assert len(found.refused) == 1
    assert found.refused[0].startswith("splits/train.txt:3: ")
    assert reason in found.refused[0]


def test_stem_of_two_folders_is_asked_about(tmp_path: Path) -> None:
    items = tuple(Item(f"{f}/0", f"images/{f}/0.jpg", f"masks/{f}/0.png") for f in ("n", "s"))
    found = assigned(tmp_path, "n/0\n0\n", items)
    assert found.refused == (
        "splits/train.txt:2: '0' may be n/0 and s/0: write its folder, too, and one picture a line",
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_marks_and_line_ends(encoding: str, newline: str, tmp_path: Path) -> None:
    found = assigned(tmp_path, newline.join(["train/a1 ", "m\u00fc.jpg", ""]).encode(encoding))
    assert trained(found) == ["a1", "m\u00fc"]
    assert not found.refused


def test_header_of_a_table_is_no_picture(tmp_path: Path) -> None:
    found = assigned(tmp_path, "image,label\na1.jpg,a1_gt.png\n", name="train.csv")
    assert (trained(found), found.refused) == (["a1"], ())


def test_picture_in_two_lists_is_refused_by_name(tmp_path: Path) -> None:
    assigned(tmp_path, "a1\nv1.2\n")
    with pytest.raises(UserError, match=r"val\.txt: a1 is in splits/train\.txt as well"):
        assigned(tmp_path, "b\ntrain/a1\n", name="val.txt")


def test_list_that_names_no_picture_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train\.txt:1: 'loss 0\.5' names no picture.*2 lines"):
        assigned(tmp_path, "loss 0.5\nloss 0.4\n")


def test_lists_go_before_folders_and_the_rest_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits/validation.txt").write_text("v1.2\n")
    found = assigned(tmp_path, "b\n")
    assert {item.key: item.split for item in found.items} == {"v1.2": "val", "b": "train"}
    assert "img_dir/train/a1.jpg" in found.unlisted


def test_folder_keeps_its_split_where_that_has_no_list(tmp_path: Path) -> None:
    found = assigned(tmp_path, "a1\n")
    assert [item.key for item in found.items if item.split == "val"] == [
        "b 1",
        "b",
        "m\u00fc",
        "s/0",
        "t/0",
    ]
    assert found.unlisted == ("img_dir/train/v1.2.jpg", "img_dir/train/n/0.jpg")


def test_what_valid_txt_does_not_name_trains(tmp_path: Path) -> None:
    items = tuple(Item(k, f"images/{k}.png", f"labels/{k}_P.png") for k in "abc")
    found = assigned(tmp_path, "b.png\n", items, name="valid.txt")
    assert [item.split for item in found.items] == ["train", "val", "train"]
    assert found.remarks == ("2 pictures on no list train: there is no list for train",)


def test_default_txt_says_no_split(tmp_path: Path) -> None:
    items = tuple(Item(k, f"JPEGImages/{k}.jpg", f"SegmentationClass/{k}.png") for k in "abc")
    found = assigned(tmp_path, "a\nb\n", items, name="default.txt")
    assert [(item.key, item.split) for item in found.items] == [("a", None), ("b", None)]
    assert found.unlisted == ("JPEGImages/c.jpg",)


def test_lists_nearest_to_the_root_count(tmp_path: Path) -> None:
    for name in ("train.txt", "val_list.txt", "labels.txt", "old/train.txt", "trainval.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_lists(Tree.of(tmp_path)) == {"train": ["train.txt"], "val": ["val_list.txt"]}


def test_voc_has_lists_of_other_tasks(tmp_path: Path) -> None:
    for folder in ("Main", "Segmentation"):
        (tmp_path / "ImageSets" / folder).mkdir(parents=True)
        (tmp_path / "ImageSets" / folder / "train.txt").touch()
    assert find_lists(Tree.of(tmp_path)) == {"train": ["ImageSets/Segmentation/train.txt"]}


def test_list_may_begin_with_the_name_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "CamVid").mkdir()
    found = assigned(tmp_path / "CamVid", "/CamVid/img_dir/train/a1.jpg\nCamVid/train/v1.2.jpg\n")
    assert trained(found) == ["a1", "v1.2"]
    assert not found.refused
