"""What a form says of a data set before any picture is opened: the contract of every form.

A form is one way in which people and tools lay a data set out. It guesses the layout from marker
files; which number means what it takes from the files or leaves open.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from afdcd.data.catalog.labels import Drawing, Encoding
from afdcd.data.catalog.splits import Split
from afdcd.data.catalog.train_ids import RGB
from afdcd.data.own.tree import Tree
from afdcd.data.places import Place

# How labels name a class: a number, a colour, or the form's own word.
Raw: TypeAlias = int | RGB | str
Table: TypeAlias = Mapping[Raw, int]

UNCOVERED = "(uncovered)"
"""The raw name of pixels that no annotation covers, in forms whose labels are drawn."""


def word(raw: Raw) -> str:
    """A raw value for a person."""
    if raw == UNCOVERED:
        return "what no annotation covers"
    return " ".join(map(str, raw)) if isinstance(raw, tuple) else str(raw)


@dataclass(frozen=True, slots=True)
class Item:
    """A picture and its label.

    Attributes:
        key: path below the pictures' root without its ending, in NFC, with forward slashes.
        label: None where the form has none; a file that should exist is named and judged missing.
        split: as folders or lists say; None where they say nothing.
    """

    key: str
    image: Place
    label: Place | None
    split: Split | None = None


@dataclass(frozen=True)
class Said:
    """What the files of a data set say of its classes.

    Attributes:
        names: raw value -> name, in the set's own order; empty where only a person knows.
        ignored: raw values that neither train nor score.
        colours: for pictures only, where labels are not colours themselves.
        source: the file that says it, for messages.
        merges: whether equal names are meant to be one class, as where a table maps values.
    """

    names: Mapping[Raw, str] = field(default_factory=dict)
    ignored: frozenset[Raw] = frozenset()
    colours: Mapping[str, RGB] = field(default_factory=dict)
    source: str = ""
    merges: bool = False


@dataclass(frozen=True)
class Found:
    """A data set as one form sees it.

    Attributes:
        form: for a person and for the manifest.
        encoding: how labels are read, given raw value -> train id; None where labels are masks:
            numbers or colours, as the raw values are.
        refused: `file: reason: remedy` of entries that were not taken; part of the report.
        remarks: oddities that were coped with and a person may want to know of.
        unlisted: pictures that no item uses.
        mask_suffix: ending that all labels share after the picture's name; told to the person.
    """

    form: str
    items: tuple[Item, ...]
    said: Said = Said()
    encoding: Callable[[Table], Encoding | Drawing] | None = None
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    mask_suffix: str = ""


@dataclass(frozen=True, slots=True)
class Hints:
    """What a person may say of the layout.

    Attributes:
        mask_suffix: ending of the labels' names after the pictures', as `_mask`; None finds it.
        columns: those of pictures and of labels, where a table has more than two; None finds them.
    """

    mask_suffix: str | None = None
    columns: tuple[str, str] | None = None


class Form(Protocol):
    """A function for each form, in the order in which they are tried."""

    def __call__(self, tree: Tree, hints: Hints) -> Found | None:
        """The data set, or None where its markers are not there.

        Raises:
            UserError: the markers are there, but the set cannot be read: file, reason, remedy.
        """
