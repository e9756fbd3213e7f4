"""Tables of classes in text files: name and colour, or name and number, in any order and header."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from afdcd.config import UserError
from afdcd.data.catalog.train_ids import RGB
from afdcd.data.own.found import Raw
from afdcd.data.own.tree import Tree

_NAME = ("name", "names", "class", "class_name", "class_names", "classname", "label", "label_name")
_VALUE = ("pixel_value", "value", "id", "index", "class_id", "label_id", "pixel", "class_index")
_CHANNELS = (("r", "red"), ("g", "green"), ("b", "blue"))


@dataclass(frozen=True)
class ClassTable:
    """What a table says; a column that it has not leaves its mapping empty."""

    source: str
    numbers: Mapping[Raw, str] = field(default_factory=dict)
    colours: Mapping[Raw, str] = field(default_factory=dict)


def read_table(tree: Tree, file: str) -> ClassTable:
    """A table with or without a header: `name,r,g,b`, `r g b name`, `Pixel Value, Class`.

    Raises:
        UserError: a line that cannot be read, or a number or colour of two classes.
    """
    rows = list(_rows(tree, file))
    where = str(tree.root / file)
    if not rows:
        raise UserError(f"{where}: empty; write a line for each class")
    numbers: dict[Raw, str] = {}
    colours: dict[Raw, str] = {}
    columns = _columns(rows[0][1])
    for number, cells in rows[1:] if columns else rows:
        name, value, colour = _class(cells, columns, f"{where}:{number}")
        for raw, into in ((value, numbers), (colour, colours)):
            if raw is not None:
                enter(into, raw, name, f"{where}:{number}")
    return ClassTable(file, numbers, colours)


def enter(into: dict[Raw, str], raw: Raw, name: str, where: str) -> None:
    """Raises UserError: `raw` is of another class already."""
    if into.setdefault(raw, name) != name:
        raise UserError(f"{where}: {raw} is of {into[raw]} and of {name}: give each its own")


def numbered_lines(tree: Tree, file: str) -> ClassTable:
    """A name a line, whose number counts from 0: fast.ai's `codes.txt`."""
    lines = enumerate(tree.text(file).splitlines())
    return ClassTable(file, {number: line.strip() for number, line in lines if line.strip()})


def _rows(tree: Tree, file: str) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(tree.text(file).splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, _cells(line)


def _cells(line: str) -> list[str]:
    """By comma, semicolon or tab; a line without those by blanks: three numbers, then the name."""
    for mark in (",", ";", "\t"):
        if line.count(mark) >= 3 or (mark in line and not _number(line.split()[0])):
            return [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]
    cells = line.replace(",", " ").split()
    if len(cells) > 3 and all(map(_number, cells[:3])):
        return [*cells[:3], " ".join(cells[3:])]
    if len(cells) > 3 and all(map(_number, cells[-3:])):
        return [" ".join(cells[:-3]), *cells[-3:]]
    return [*cells[:1], " ".join(cells[1:])]


def _columns(header: Sequence[str]) -> dict[str, int]:
    """Where a header puts what; empty where the first line is none."""
    cells = [cell.lower().strip("\"'").replace(" ", "_").replace("-", "_") for cell in header]
    if any(_number(cell) for cell in cells):
        return {}
    wanted = {"name": _NAME, "value": _VALUE, **dict(zip("rgb", _CHANNELS, strict=True))}
    found = {
        what: next((cells.index(word) for word in words if word in cells), -1)
        for what, words in wanted.items()
    }
    return {what: at for what, at in found.items() if at >= 0}


def _class(
    cells: Sequence[str], columns: Mapping[str, int], where: str
) -> tuple[str, int | None, RGB | None]:
    """(name, number, colour) of a line."""
    places = columns or _headless(cells)
    try:
        name = cells[places["name"]]
        value = _byte(cells[places["value"]], 0xFFFF) if "value" in places else None
        colour: RGB | None = None
        if {"r", "g", "b"} <= set(places):
            red, green, blue = (_byte(cells[places[channel]], 255) for channel in "rgb")
            colour = red, green, blue
    except (ValueError, KeyError, IndexError):
        name, value, colour = "", None, None
    if not name or (value is None and colour is None):
        raise UserError(
            f"{where}: no class and its number or colour: {', '.join(cells)!r}; write name,r,g,b or "
            "name,value"
        )
    return name, value, colour


def _headless(cells: Sequence[str]) -> dict[str, int]:
    digits = [_number(cell) for cell in cells]
    if digits[:3] == [True] * 3 and len(cells) == 4:
        return {"r": 0, "g": 1, "b": 2, "name": 3}
    if digits[-3:] == [True] * 3 and len(cells) == 4:
        return {"name": 0, "r": 1, "g": 2, "b": 3}
    if len(cells) == 2 and any(digits):
        return {"value": digits.index(True), "name": 1 - digits.index(True)}
    return {}


def _number(cell: str) -> bool:
    return cell.isascii() and cell.isdigit()  # isdigit alone is true for a superscript


def _byte(cell: str, largest: int) -> int:
    value = int(cell)
    if not 0 <= value <= largest:
        raise ValueError(cell)
    return value
