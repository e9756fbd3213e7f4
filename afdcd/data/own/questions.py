"""What only a person can say of masks, asked in one line before anything is built."""

from pathlib import Path

from afdcd.config import UserError
from afdcd.data.own.classes import Classes
from afdcd.data.own.found import Found, word
from afdcd.data.own.mask_values import is_gray_rgb
from afdcd.data.own.masks import guess
from afdcd.data.own.scale import scaled
from afdcd.data.own.survey import BINARY, Survey, survey
from afdcd.data.places import read
from afdcd.text import percent

_LOOKED_AT = 64  # masks, evenly spaced: enough to see that a table is another one
_SHOWN = 12
_LARGEST_BYTE = 255
_DIFFERENT = 3  # numbers of things in masks, before they are taken for instances


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
            f"{where}{_guess(looked)}; nothing says which is which class: write them down with "
            "--draft classes.yaml, complete that file, and give it as --classes classes.yaml"
        )
    if looked.coloured != classes.colourful:
        held, said = ("colours", "numbers") if looked.coloured else ("numbers", "colours")
        raise UserError(f"{where}, which are {held}; the classes are given as {said}")
    values = {seen.raw for seen in looked.seen}
    if values == BINARY and 255 in classes.ignored:
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
    _no_colour_forgotten(root, looked, classes)
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


def _no_colour_forgotten(root: Path, looked: Survey, classes: Classes) -> None:
    """A few strays of a mask are ignored in silence; a class that nobody listed would go with them.

    Strays of smoothed borders are many colours with a few pixels each, a class is one with an area.
    """
    if not looked.coloured:
        return
    missed = [s.raw for s in looked.seen if s.raw not in classes.table and s.areas > 1]
    if missed:
        shares = (f"{word(raw)} ({percent(looked.share(raw))})" for raw in missed[:_SHOWN])
        typed = ",".join(map(str, missed[0])) if isinstance(missed[0], tuple) else missed[0]
        raise UserError(
            f"{root}: the masks hold areas in colours of no class: {', '.join(shares)}; add them to "
            f"classes, or to ignore (--ignore {typed})"
        )


def _gray(root: Path, found: Found, looked: Survey) -> list[str]:
    item = looked.seen[0].item
    assert item.label is not None
    if looked.coloured or not is_gray_rgb(read(root, item.label)):
        return []
    return [f"masks are RGB files of gray pixels, read as numbers, e.g. {item.label}"]


def _guess(looked: Survey) -> str:
    """What the values may be, where nobody said it."""
    values = frozenset(seen.raw for seen in looked.seen if isinstance(seen.raw, int))
    if values == BINARY or max(values, default=0) > _LARGEST_BYTE:
        return f": {guess(values, frozenset())}"
    if len(looked.counted) >= _DIFFERENT:
        return ": instance ids, 1 to n in each mask? Then export masks of classes"
    return ""
