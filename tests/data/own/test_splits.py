"""Which picture trains, selects or reports."""

import pytest

from afdcd.config import UserError
from afdcd.data.own.found import Item
from afdcd.data.own.splits import Cut, cut


def _items(**splits: str | None) -> list[Item]:
    return [
        Item(key.replace("__", "/"), f"{key}.jpg", f"{key}.png", split)
        for key, split in splits.items()
    ]


def _of(found: Cut, split: str) -> set[str]:
    return {item.key for item in found.items if item.split == split}


def test_a_given_split_is_kept() -> None:
    found = cut(_items(a="train", b="val", c="test", d="train"))
    assert (_of(found, "train"), _of(found, "val"), _of(found, "test")) == (
        {"a", "d"},
        {"b"},
        {"c"},
    )
    assert found.rule == "as the set says"


def test_pictures_of_no_split_are_left_out_with_a_word() -> None:
    found = cut(_items(a="train", b="val", c=None))
    assert _of(found, "train") | _of(found, "val") == {"a", "b"}
    assert any("1 pictures are in no split" in line and "c.jpg" in line for line in found.warnings)


def test_without_val_whole_groups_of_train_select() -> None:
    found = cut(_items(**{f"{s}__{n}": "train" for s in "abcde" for n in "12"}, z="test"))
    held = {key.partition("/")[0] for key in _of(found, "val")}
    assert len(held) == 1
    assert _of(found, "test") == {"z"}
    assert any("no val split" in line for line in found.warnings)


def test_sites_stay_whole() -> None:
    items = _items(**{f"{s}__{n}": None for s in ("north", "south", "west") for n in "01"})
    for by in (None, "folder", "group"):
        found = cut(items, by)  # type: ignore[arg-type]
        sites = {
            split: {k.partition("/")[0] for k in _of(found, split)} for split in ("train", "val")
        }
        assert sites["train"].isdisjoint(sites["val"])
        assert all(sites.values())


def test_under_dev_other_groups_of_train_select() -> None:
    items = _items(**{f"{s}__{n}": "train" for s in "abcde" for n in "12"}, v="val")
    found = cut(items)
    assert found.group == "folder"
    assert len({key.partition("/")[0] for key in found.held_out}) == 1
    assert len(found.held_out) == 2


def test_one_group_is_said() -> None:
    found = cut(_items(**{f"f{n:02}": None for n in range(10)}))
    assert _of(found, "val") == {"f08", "f09"}
    assert any("one group of pictures" in line for line in found.warnings)


def test_by_ratio_a_fifth_drawn_by_name_alone() -> None:
    items = _items(**{f"f{n:02}": None for n in range(20)})
    found = cut(items, "ratio")
    assert len(_of(found, "val")) == 4
    assert _of(found, "val") == _of(cut(items[::-1], "ratio"), "val")
    assert any("neighbour" in line for line in found.warnings)


def test_augmented_copies_across_splits_are_told() -> None:
    a, b = "x_jpg.rf." + "0" * 32, "x_jpg.rf." + "1" * 32
    items = [Item(a, "a.jpg", "a.png", "train"), Item(b, "b.jpg", "b.png", "val")]
    assert any("augmented" in line for line in cut(items).warnings)


@pytest.mark.parametrize(
    ("items", "by", "told"),
    [
        (_items(a="train"), None, "one to train and one to select"),
        (_items(a=None, b=None), "list", "no list names a split"),
        (_items(a1=None, a2=None), "folder", "all pictures are in one folder"),
    ],
)
def test_what_cannot_be_split(items: list[Item], by: str | None, told: str) -> None:
    with pytest.raises(UserError, match=told):
        cut(items, by)  # type: ignore[arg-type]


def test_copies_of_what_is_held_out_never_train() -> None:
    """Under `dev`, which an own set begins with, a part of train selects."""
    items = [
        Item(f"{name}_jpg.rf.{copy:032x}", f"{name}{copy}.jpg", "m.png", split)
        for name, split in (*((f"p{n}", "train") for n in range(10)), ("v", "val"))
        for copy in range(3)
    ]
    found = cut(items)
    held = {key.partition(".rf.")[0] for key in found.held_out}
    rest = {
        i.key.partition(".rf.")[0]
        for i in found.items
        if i.split == "train" and i.key not in found.held_out
    }
    assert held
    assert held.isdisjoint(rest)
