"""Which pictures belong together."""

import random
from collections import Counter

import pytest

from afdcd.data.own.groups import group_of, grouping, hold_out, natural, neighbours


def test_frames_of_one_name_are_a_group() -> None:
    assert group_of("drive_a/cam_000123", "name") == "drive_a/cam_"
    assert group_of("drive_a/cam_000123_left", "name") == "drive_a/cam_"
    assert group_of("drive_a/cam", "name") == "drive_a/cam"
    assert group_of("drive_a/x/1", "folder") == "drive_a"


def test_the_first_rule_that_makes_two_groups() -> None:
    assert grouping(["a/1", "b/1"]) == "folder"
    assert grouping(["a/x1", "a/y1"]) == "name"
    assert grouping(["x1", "x2"]) == "picture"
    assert grouping(["a/1", "a/2"], "folder") == "picture"


def test_one_group_gives_its_tail_in_the_order_of_frames() -> None:
    keys = [f"f{number}" for number in range(1, 21)]
    assert hold_out(keys, "picture") == {"f17", "f18", "f19", "f20"}
    assert sorted(["f10", "f9"], key=natural) == ["f9", "f10"]


@pytest.mark.parametrize("seed", range(50))
def test_whole_groups_are_held_out_never_all_and_whatever_the_order(seed: int) -> None:
    draw = random.Random(seed)
    sites, names = "abcd"[: draw.randint(1, 4)], ("", "x", "y", "zz")[: draw.randint(1, 4)]
    made = {f"{draw.choice(sites)}/{draw.choice(names)}{draw.randint(0, 200)}" for _ in range(30)}
    keys = sorted(made)
    by = grouping(keys)
    held = hold_out(keys, by)
    groups = Counter(group_of(key, by) for key in keys)
    assert held
    assert held < set(groups)
    assert held == hold_out(reversed(keys), by)


def test_about_a_fifth_where_groups_allow_it() -> None:
    keys = [f"{site}/{number}" for site in "abcdefghij" for number in range(10)]
    assert len(hold_out(keys, "folder")) == 2


def test_frames_beside_each_other_are_told() -> None:
    assert neighbours(["a/f1", "a/f3", "b/f1"], ["a/f2", "b/f7"]) == [("a/f1", "a/f2")]
    assert neighbours(["x"], ["y"]) == []
