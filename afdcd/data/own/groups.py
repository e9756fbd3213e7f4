"""Which pictures belong together, so that no split sees its neighbours in another.

Frames of a video are nearly the same picture: a random tenth of them is no test of anything.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from afdcd.seeds import derive

GroupBy = Literal["folder", "name", "picture"]

_SHARE = 0.2  # of the pictures that validate
_LEAST, _MOST = 0.05, 0.5  # a share beyond which groups of another kind are tried
_DIGITS = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Frame:
    """What a picture's name says of a sequence that it may be of.

    Attributes:
        group: what the frames of one sequence have in common.
        number: of the frame in it; None where names say none.
    """

    group: str
    number: int | None = None


def source_of(key: str) -> str:
    """The picture that a copy was augmented from: Roboflow writes `x_jpg.rf.<hash>`."""
    return key.partition(".rf.")[0]


def frames(keys: Iterable[str]) -> dict[str, Frame]:
    """Of names that are alike but for their numbers, the number that differs most counts frames."""
    alike: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        alike[_DIGITS.sub("0", source_of(key))].append(key)
    found: dict[str, Frame] = {}
    for family in alike.values():
        numbers = {key: _DIGITS.findall(source_of(key)) for key in family}
        column = _varying(list(numbers.values()))
        for key in family:
            found[key] = _frame(source_of(key), numbers[key], column)
    return found


def _varying(rows: Sequence[Sequence[str]]) -> int | None:
    """The column with most values, of equal ones the last; None where none varies."""
    counts = [len(set(column)) for column in zip(*rows, strict=True)]
    best = max(counts, default=1)
    return None if best == 1 else max(i for i, count in enumerate(counts) if count == best)


def _frame(name: str, numbers: Sequence[str], column: int | None) -> Frame:
    if column is None:
        return Frame(name)
    start, stop = [found.span() for found in _DIGITS.finditer(name)][column]
    return Frame(f"{name[:start]}#{name[stop:]}", int(numbers[column]))


def groups_of(keys: Sequence[str], by: GroupBy) -> dict[str, str]:
    """`folder`: the first folder; `name`: the sequence of frames; `picture`: itself and its copies."""
    if by == "name":
        return {key: frame.group for key, frame in frames(keys).items()}
    if by == "folder":
        return {key: key.partition("/")[0] if "/" in key else "" for key in keys}
    return {key: source_of(key) for key in keys}


def grouping(keys: Sequence[str], by: GroupBy | None = None) -> GroupBy:
    """The first of folder, name and picture of whose groups some hold about a fifth."""
    if by:
        return by if len(set(groups_of(keys, by).values())) > 1 else "picture"
    choices: tuple[GroupBy, ...] = ("folder", "name")
    return next((b for b in choices if _divides(keys, b)), "picture")


def _divides(keys: Sequence[str], by: GroupBy) -> bool:
    return bool(keys) and _LEAST <= len(hold_out(keys, by)) / len(keys) <= _MOST


def hold_out(keys: Sequence[str], by: GroupBy) -> frozenset[str]:
    """Keys of whole groups with about a fifth of the pictures, never all of them.

    Of `picture` groups it is the tail in the order of names, not every fifth: its neighbours in
    time would train. Groups are taken in an order that depends on their names alone.
    """
    groups = groups_of(keys, by)
    counts = Counter(groups.values())
    if len(counts) < 2:
        return frozenset()
    held = _tail(counts) if by == "picture" else _drawn(counts)
    return frozenset(key for key, group in groups.items() if group in held)


def _tail(counts: Mapping[str, int]) -> set[str]:
    ordered = sorted(counts, key=natural)
    return set(ordered[-max(1, round(_SHARE * len(ordered))) :])


def _drawn(counts: Counter[str]) -> set[str]:
    wanted, taken = _SHARE * counts.total(), 0
    held: set[str] = set()
    for group in sorted(counts, key=lambda group: (derive(0, "held out", group), group)):
        nearer = abs(taken + counts[group] - wanted) < abs(taken - wanted)
        if nearer and len(held) < len(counts) - 1:
            held.add(group)
            taken += counts[group]
    return held or {min(counts, key=lambda group: (counts[group], group))}


def natural(key: str) -> list[tuple[int, str]]:
    """Frame 9 before frame 10."""
    parts = re.split(r"(\d+)", key, flags=re.ASCII)
    return [(int(part), "") if part.isdigit() and part.isascii() else (-1, part) for part in parts]


def neighbours(train: Iterable[str], judged: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of keys with consecutive numbers in one sequence, of which one trains and one is judged."""
    train, judged = list(train), list(judged)
    known = frames([*train, *judged])
    numbered = {(known[key].group, known[key].number): key for key in train}
    found = []
    for key in judged:
        frame = known[key]
        if frame.number is not None:
            beside = ((frame.group, frame.number + step) for step in (-1, 1))
            found += [(numbered[place], key) for place in beside if place in numbered][:1]
    return found
