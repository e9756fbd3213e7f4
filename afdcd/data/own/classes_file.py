"""`classes.yaml`: what a person says the labels mean.

    classes:
      - {name: road, value: 0}
      - {name: vehicle, values: [1, 4]}          # merged
      - {name: tree, colour: [107, 142, 35]}     # of a mask in colours
      - {name: person, from: pedestrian}         # renamed: a class of the data set's own table
    ignore: [255]                                # values, colours or names
    background: ignore                           # pixels that no annotation covers

The order is that of the train ids. A bare list is the list of classes.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from afdcd.config import FrozenConfig, Source, UserError, validate
from afdcd.data.catalog.train_ids import RGB
from afdcd.data.own.found import Raw
from afdcd.yaml_text import parse_yaml, read_text

MOST_CLASSES = 255
# The `---` that many editors begin a file with: a key cannot be written before it.
_START = re.compile(r"\A((?:[ \t]*(?:#.*)?\r?\n)*)---[ \t]*(?:#.*)?$", re.MULTILINE)
Byte = Annotated[int, Field(ge=0, le=255)]
Value = Annotated[int, Field(ge=0, le=0xFFFF)]
Colour = tuple[Byte, Byte, Byte]


class ClassEntry(FrozenConfig):
    """One class. `colour` names it in a mask of colours; beside a value it is for pictures only."""

    name: str
    value: Value | None = None
    values: tuple[Value, ...] = ()
    colour: Colour | None = None
    colours: tuple[Colour, ...] = ()
    source: str | tuple[str, ...] | None = Field(default=None, alias="from")

    @model_validator(mode="after")
    def _named(self) -> "ClassEntry":
        if not self.name.strip():
            raise ValueError("name is empty: write what this is, or move its value to ignore")
        if self.name != self.name.strip():
            raise ValueError(f"name {self.name!r} has a blank at an end; take it off")
        kinds = [bool(self.numbers), bool(self.source), bool(self.colours)]
        if sum(kinds) > 1:
            raise ValueError("values, colours and from name the same thing: keep one of them")
        if not any((*kinds, self.colour)):
            raise ValueError("needs value, colour or from: what is it called in the labels?")
        return self

    @property
    def numbers(self) -> tuple[int, ...]:
        return self.values if self.value is None else (self.value, *self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the data set's own classes."""
        return (self.source,) if isinstance(self.source, str) else self.source or ()

    @property
    def raws(self) -> tuple[Raw, ...]:
        """Values or colours in the labels; none where `from` says the class."""
        if self.numbers or self.source:
            return self.numbers
        return self.colours or ((self.colour,) if self.colour else ())

    @property
    def shown(self) -> RGB | None:
        """The colour for pictures."""
        return self.colour or (self.colours[0] if self.colours else None)


class ClassesFile(FrozenConfig):
    """Attributes:
    ignore: values, colours or names of what neither trains nor scores; `rest` is all that is left.
    background: a class's name, or `ignore`, for pixels that no annotation covers.
    """

    classes: tuple[ClassEntry, ...]
    ignore: tuple[Value | Colour | str, ...] | Literal["rest"] = ()
    background: str | None = None


def read_classes(path: Path) -> tuple[ClassesFile, Source]:
    """Raises UserError: no such file, no YAML, a rule broken: file, line, key, remedy."""
    # The other lines keep their numbers.
    text = _START.sub(r"\1", read_text(path).removeprefix("\ufeff"))
    if next(_content(text), "").startswith("-"):
        values, source = parse_yaml(f"classes:\n{text}", str(path))
        source = replace(
            source, lines={key: max(1, line - 1) for key, line in source.lines.items()}
        )
    else:
        values, source = parse_yaml(text, str(path))
    file = validate(ClassesFile, values, source)
    _distinct(file, source)
    return file, source


def _content(text: str) -> Iterator[str]:
    """The lines that are no comments and not blank."""
    return (
        line.lstrip()
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    )


def _distinct(file: ClassesFile, source: Source) -> None:
    if not 1 <= len(file.classes) <= MOST_CLASSES:
        raise UserError(
            f"{source.at(('classes',))}: {len(file.classes)} classes; 1 to {MOST_CLASSES} fit: "
            + ("merge some, or ignore them" if file.classes else "name them")
        )
    names: dict[str, str] = {}
    raws: dict[Raw, str] = {}
    for index, entry in enumerate(file.classes):
        at = source.at(("classes", index))
        before = names.get(entry.name.casefold())
        if before is not None:
            remedy = "say several values in one entry to merge them"
            raise UserError(f"{at}: {entry.name!r} and {before!r} are one name twice; {remedy}")
        names[entry.name.casefold()] = entry.name
        for raw in (*entry.raws, *entry.names):
            owner = raws.setdefault(raw, entry.name)
            if owner != entry.name:  # names differ from here on
                raise UserError(f"{at}: {raw!r} is both {owner!r} and {entry.name!r}; keep one")
    _own_colours(file, source)
    for raw in file.ignore if file.ignore != "rest" else ():
        if raw in raws:
            at = source.at(("ignore",))
            raise UserError(f"{at}: {raw!r} is ignored and the class {raws[raw]!r}; keep one")


def _own_colours(file: ClassesFile, source: Source) -> None:
    """In pictures two classes of one colour look like one."""
    owners: dict[RGB, str] = {}
    for index, entry in enumerate(file.classes):
        if entry.shown and owners.setdefault(entry.shown, entry.name) != entry.name:
            at = source.at(("classes", index))
            both = f"{owners[entry.shown]!r} and {entry.name!r}"
            raise UserError(
                f"{at}: colour {list(entry.shown)} is of {both}; give each its own, or none"
            )
