"""Which pictures belong together."""

import random
from collections import Counter

import pytest

from afdcd.data.own.groups import (
    GroupBy,
    frames,
    grouping,
    groups_of,
    hold_out,
    natural,
    neighbours,
)


@pytest.mark.parametrize(
    "template",
    [
        "cam_{n:06}",
        "aachen_000000_{n:06}_leftImg8bit",
        "frame_{n:04}_v2",
        "drive_2020-01-01_{n}.4s",
        "2020/{n}",
        "a{n}_jpg.rf.0123456789abcdef0123456789abcdef",
    ],
)
def test_the_number_that_differs_counts_the_frames_wherever_it_stands(template: str) -> None:
    keys = [template.format(n=n) for n in range(3, 33)]
    found = frames(keys)
    assert len({frame.group for frame in found.values()}) == 1
    assert [found[key].number for key in keys] == list(range(3, 33))
    assert neighbours(keys[::2], keys[1::2])
    tail = hold_out(keys, grouping(keys))
    assert tail == set(keys[-6:])


def test_two_drives_are_two_groups() -> None:
    keys = [f"d_{drive:02}_{frame:06}_x8" for drive in range(8) for frame in range(10)]
    assert grouping(keys) == "name"
    assert len({key[:4] for key in hold_out(keys, "name")}) == 2
    assert len(hold_out(keys, "name")) == 20


def test_copies_that_were_augmented_stay_with_their_picture() -> None:
    keys = [
        f"{name}_jpg.rf.{copy:032x}"
        for name in ("cat", "dog", "cow", "hen", "pig")
        for copy in range(3)
    ]
    for by in ("name", "picture"):
        assert len({key.partition("_")[0] for key in hold_out(keys, by)}) == 1  # type: ignore[arg-type]
        assert len(hold_out(keys, by)) == 3  # type: ignore[arg-type]


def test_the_first_rule_that_holds_out_about_a_fifth() -> None:
    assert grouping(["a/1", "b/1"]) == "folder"
    assert grouping([f"a/{name}{n}" for name in "xyz" for n in range(3)]) == "name"
    assert grouping(["x1", "x2"]) == "picture"
    assert grouping(["a/1", "a/2"], "folder") == "picture"
    lone = [f"a/{n}" for n in range(999)] + ["b/1"]
    assert grouping(lone) == "picture"  # one picture would select
    assert grouping(lone, "folder") == "folder"  # unless it is asked for


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
    by: GroupBy = grouping(keys)
    held, groups = hold_out(keys, by), groups_of(keys, by)
    parts = Counter(groups[key] for key in held)
    assert held
    assert held < set(keys)
    assert held == hold_out(keys[::-1], by)
    assert all(Counter(groups.values())[group] == count for group, count in parts.items())


def test_frames_beside_each_other_are_told() -> None:
    assert neighbours(["a/f1", "a/f3", "b/f1"], ["a/f2", "b/f7"]) == [("a/f1", "a/f2")]
    assert neighbours(["x"], ["y"]) == []
