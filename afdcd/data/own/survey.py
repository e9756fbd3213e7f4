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
from afdcd.data.own.classes import Classes
from afdcd.data.own.found import Found, Item, Raw, word
from afdcd.data.own.mask_values import count_colours, count_numbers, is_coloured
from afdcd.data.own.masks import guess
from afdcd.data.own.scale import scaled
from afdcd.data.places import read
from afdcd.text import percent

_LOOKED_AT = 64  # masks, evenly spaced: enough to see that a table is another one
_SHOWN = 12
_BINARY = {0, 255}
_LARGEST_BYTE = 255
_DIFFERENT = 3  # numbers of things in masks, before they are taken for instances


@dataclass(frozen=True)
class Seen:
    """One value of the labels; `item` is the picture that has most of it."""

    raw: Raw
    pixels: int
    pictures: int
    item: Item


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

    @property
    def guess(self) -> str:
        """What the values may be, where nobody said it."""
        values = frozenset(seen.raw for seen in self.seen if isinstance(seen.raw, int))
        if values == _BINARY or max(values, default=0) > _LARGEST_BYTE:
            return f": {guess(values, frozenset())}"
        if len(self.counted) >= _DIFFERENT:
            return ": instance ids, 1 to n in each mask? Then export masks of classes"
        return ""


def survey(root: Path, found: Found, items: Sequence[Item]) -> Survey:
    """Count the values of the labels of `items`, one label at a time.

    Raises:
        UserError: none of them can be read.
    """
    counts: dict[Raw, int] = defaultdict(int)
    pictures: dict[Raw, int] = defaultdict(int)
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
        for raw, pixels in values:
            counts[raw] += pixels
            pictures[raw] += 1
            if pixels > most.get(raw, (0, item))[0]:
                most[raw] = (pixels, item)
    if not read_:
        first = faults[0] if faults else "there is none"
        raise UserError(f"{root}: none of {len(items)} labels can be read: {first}")
    order = sorted(counts, key=lambda raw: (-counts[raw], str(raw)))
    seen = tuple(Seen(raw, counts[raw], pictures[raw], most[raw][1]) for raw in order)
    numbered = frozenset(counted) if all(counted) else frozenset()
    return Survey(seen, read_, coloured, tuple(faults), numbered)


def _counted(raws: Set[Raw]) -> int:
    """n, if a label holds 1 to n beside 0 and 255; 0 if it holds something else."""
    numbers = {raw for raw in raws if isinstance(raw, int)} - _BINARY
    return len(numbers) if numbers == set(range(1, len(numbers) + 1)) else 0


def check_masks(root: Path, found: Found, classes: Classes | None) -> list[str]:
    """Hold a sample of the masks to the table; what a person should know of them.

    Labels that are drawn name their classes themselves.

    Raises:
        UserError: nobody says what the values mean, or what is said is of other masks.
    """
    if found.encoding:
        return []
    step = max(1, len(found.items) // _LOOKED_AT)
    if fault := scaled(root, found.items[::step]):
        raise UserError(f"{root}: {fault}")
    looked = survey(root, found, found.items[::step])
    where = f"{root}: the masks hold {looked.brief()}"
    if classes is None:
        raise UserError(
            f"{where}{looked.guess}; nothing says which is which class: write them down with "
            "--draft classes.yaml, complete that file, and give it as --classes classes.yaml"
        )
    if looked.coloured != classes.colourful:
        held, said = ("colours", "numbers") if looked.coloured else ("numbers", "colours")
        raise UserError(f"{where}, which are {held}; the classes are given as {said}")
    values = {seen.raw for seen in looked.seen}
    if values == _BINARY and 255 in classes.ignored:
        raise UserError(
            f"{where}: a binary mask? list 255 as a class in classes.yaml, as ignored pixels it would "
            "leave one class"
        )
    if 0 in values and 0 not in classes.table:
        raise UserError(
            f"{where}; 0 has no name: background or not labelled? add it to classes, or to ignore "
            "(--ignore 0)"
        )
    _all_known(where, looked, classes)
    return _gray(root, found, looked)


def _all_known(where: str, looked: Survey, classes: Classes) -> None:
    """One line where a value that nobody named is in every mask, for none could be used."""
    if looked.coloured:
        return
    missed = [s.raw for s in looked.seen if s.raw not in classes.table]
    if any(s.pictures == looked.labels for s in looked.seen if s.raw in missed):
        values = frozenset(seen.raw for seen in looked.seen if isinstance(seen.raw, int))
        known = frozenset(raw for raw in classes.table if isinstance(raw, int))
        remedy = guess(values, known) or "add what is meant to classes, or to ignore"
        raise UserError(f"{where}; {', '.join(map(word, missed[:_SHOWN]))}: no class; {remedy}")


def _gray(root: Path, found: Found, looked: Survey) -> list[str]:
    item = looked.seen[0].item
    assert item.label is not None
    if looked.coloured or decode(read(root, item.label)).mode not in ("RGB", "RGBA"):
        return []
    return [f"masks are RGB files of gray pixels, read as numbers, e.g. {item.label}"]


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
        image = decode(read(root, item.image))
        ids = encoding.draw(data, View(image.height, image.width))
    else:
        ids = encoding.train_ids(data)
    for index, pixels in enumerate(np.bincount(ids.ravel(), minlength=len(raws))[: len(raws)]):
        if pixels:
            yield raws[index], int(pixels)
