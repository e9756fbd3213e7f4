"""Which pictures belong together, so that no split sees its neighbours in another.

Frames of a video are nearly the same picture: a random tenth of them is no test of anything.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from afdcd.seeds import derive

GroupBy = Literal["folder", "name", "picture"]

_SHARE = 0.2  # of the pictures that validate
_DIGITS = re.compile(r"^(.*?)(\d+)(\D*)$")


def group_of(key: str, by: GroupBy) -> str:
    """`folder`: the first folder; `name`: all up to the last run of digits; `picture`: itself."""
    if by == "folder":
        return key.partition("/")[0] if "/" in key else ""
    if by == "name":
        found = _DIGITS.match(key)
        return found.group(1) if found else key
    return key


def number_of(key: str) -> int | None:
    """The last run of digits in a name: the frame of a video."""
    found = _DIGITS.match(key)
    return int(found.group(2)) if found else None


def grouping(keys: Sequence[str], by: GroupBy | None = None) -> GroupBy:
    """The first of folder, name and picture that makes more than one group."""
    choices: tuple[GroupBy, ...] = (by,) if by else ("folder", "name")
    several = (b for b in choices if len({group_of(key, b) for key in keys}) > 1)
    return next(several, "picture")


def hold_out(keys: Iterable[str], by: GroupBy) -> frozenset[str]:
    """Whole groups with about a fifth of the pictures, never all of them.

    Of `picture` groups it is the tail in the order of names, not every fifth: its neighbours in
    time would train. Groups are taken in an order that depends on their names alone.
    """
    counts = Counter(group_of(key, by) for key in keys)
    wanted = _SHARE * counts.total()
    if len(counts) < 2:
        return frozenset()
    if by == "picture":
        ordered = sorted(counts, key=natural)
        return frozenset(ordered[-max(1, round(wanted)) :])
    held: set[str] = set()
    taken = 0
    for group in sorted(counts, key=lambda group: (derive(0, "held out", group), group)):
        nearer = abs(taken + counts[group] - wanted) < abs(taken - wanted)
        if nearer and len(held) < len(counts) - 1:
            held.add(group)
            taken += counts[group]
    return frozenset(held or {min(counts, key=lambda group: (counts[group], group))})


def natural(key: str) -> list[tuple[int, str]]:
    """Frame 9 before frame 10."""
    parts = re.split(r"(\d+)", key)
    return [(int(part), "") if part.isdigit() and part.isascii() else (-1, part) for part in parts]


def neighbours(train: Iterable[str], val: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of keys with consecutive numbers of one name, of which one trains and one is judged."""
    frames: dict[str, dict[int, str]] = defaultdict(dict)
    for key in train:
        if (number := number_of(key)) is not None:
            frames[group_of(key, "name")][number] = key
    found = []
    for key in val:
        number, known = number_of(key), frames.get(group_of(key, "name"), {})
        beside = next(
            (known[n] for n in ((number or 0) - 1, (number or 0) + 1) if n in known), None
        )
        if number is not None and beside:
            found.append((beside, key))
    return found
