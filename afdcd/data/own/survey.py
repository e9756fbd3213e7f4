"""What labels hold, counted: the ground of every question to the person, and of the draft."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from afdcd.config import UserError
from afdcd.data.catalog.labels import Drawing, Encoding, View
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import PictureError, decode
from afdcd.data.own.found import Found, Item, Raw, word
from afdcd.data.own.mask_values import count_colours, count_numbers, is_coloured
from afdcd.data.places import read
from afdcd.data.viewed import orientation
from afdcd.text import percent

_SHOWN = 12
BINARY = {0, 255}
_AREA, _AREA_SHARE = 64, 0.0005  # of a label: less may be what smoothed borders leave behind


@dataclass(frozen=True)
class Seen:
    """One value of the labels; `item` is the picture that has most of it.

    Attributes:
        areas: labels that hold more of it than a smoothed border leaves of one colour.
    """

    raw: Raw
    pixels: int
    pictures: int
    item: Item
    areas: int = 0


@dataclass(frozen=True)
class Survey:
    """Attributes:
    seen: values, the most frequent first.
    labels: that were read.
    coloured: whether they are masks of colours.
    faults: `file: reason` of those that could not be read.
    counted: the largest number of each label, if all of them hold 1, 2, ... without a gap.
    """

    seen: tuple[Seen, ...]
    labels: int
    coloured: bool
    faults: tuple[str, ...]
    counted: frozenset[int] = frozenset()

    @property
    def pixels(self) -> int:
        return sum(seen.pixels for seen in self.seen)

    def share(self, raw: Raw) -> float:
        found = sum(seen.pixels for seen in self.seen if seen.raw == raw)
        return found / max(1, self.pixels)

    def brief(self) -> str:
        parts = [f"{word(s.raw)} ({percent(self.share(s.raw))})" for s in self.seen[:_SHOWN]]
        more = len(self.seen) - _SHOWN
        return ", ".join(parts) + (f" and {more} more" if more > 0 else "")


def survey(root: Path, found: Found, items: Sequence[Item]) -> Survey:
    """Count the values of the labels of `items`, one label at a time.

    Raises:
        UserError: none of them can be read.
    """
    counts: dict[Raw, int] = defaultdict(int)
    pictures: dict[Raw, int] = defaultdict(int)
    areas: dict[Raw, int] = defaultdict(int)
    most: dict[Raw, tuple[int, Item]] = {}
    faults, read_ = [], 0
    counted: list[int] = []
    coloured = _coloured(root, found, items)
    for item in items:
        try:
            values = list(_values(root, found, item, coloured))
        except (OSError, PictureError) as error:
            faults.append(f"{item.label}: {error}")
            continue
        read_ += 1
        counted.append(_counted({raw for raw, _ in values}))
        least = max(_AREA, _AREA_SHARE * sum(pixels for _, pixels in values))
        for raw, pixels in values:
            areas[raw] += pixels > least
            counts[raw] += pixels
            pictures[raw] += 1
            if pixels > most.get(raw, (0, item))[0]:
                most[raw] = (pixels, item)
    if not read_:
        first = faults[0] if faults else "there is none"
        raise UserError(f"{root}: none of {len(items)} labels can be read: {first}")
    order = sorted(counts, key=lambda raw: (-counts[raw], str(raw)))
    seen = tuple(Seen(raw, counts[raw], pictures[raw], most[raw][1], areas[raw]) for raw in order)
    numbered = frozenset(counted) if all(counted) else frozenset()
    return Survey(seen, read_, coloured, tuple(faults), numbered)


def _counted(raws: Set[Raw]) -> int:
    """n, if a label holds 1 to n beside 0 and 255; 0 if it holds something else."""
    numbers = {raw for raw in raws if isinstance(raw, int)} - BINARY
    return len(numbers) if numbers == set(range(1, len(numbers) + 1)) else 0


def _coloured(root: Path, found: Found, items: Sequence[Item]) -> bool:
    """As the data set's own table says; else as most of the first masks are."""
    if found.encoding or found.said.names:
        return any(isinstance(raw, tuple) for raw in found.said.names)
    votes = []
    for item in items[:9]:
        try:
            votes.append(item.label is not None and is_coloured(read(root, item.label)))
        except (OSError, PictureError):
            continue
    return sum(votes) * 2 > len(votes)


def _values(root: Path, found: Found, item: Item, coloured: bool) -> Iterable[tuple[Raw, int]]:
    if item.label is None:
        return ()
    data = read(root, item.label)
    if found.encoding:
        return _drawn(root, found, item, data)
    return (count_colours(data) if coloured else count_numbers(data)).items()


def _drawn(root: Path, found: Found, item: Item, data: bytes) -> Iterator[tuple[Raw, int]]:
    raws = list(found.said.names)
    assert found.encoding
    table = dict.fromkeys(found.said.ignored, IGNORE) | {raw: i for i, raw in enumerate(raws)}
    encoding: Encoding | Drawing = found.encoding(table)
    if isinstance(encoding, Drawing):
        ids = encoding.draw(data, view_of(root, item))
    else:
        ids = encoding.train_ids(data)
    for index, pixels in enumerate(np.bincount(ids.ravel(), minlength=len(raws))[: len(raws)]):
        if pixels:
            yield raws[index], int(pixels)


def view_of(root: Path, item: Item) -> View:
    """What a label that is drawn must know of its picture. Raises PictureError, OSError."""
    image = decode(read(root, item.image))
    return View(image.height, image.width, orientation(image))
