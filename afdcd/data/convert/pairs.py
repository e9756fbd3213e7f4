"""What every converter yields: which picture belongs to which label, before either is opened."""

from dataclasses import dataclass
from pathlib import Path

from afdcd.data.catalog import Split
from afdcd.data.labels import Encoding


@dataclass(frozen=True, slots=True)
class Pair:
    """`image` and `label` are paths below the source folder, with forward slashes.

    `label` is None in a split whose labels are withheld.
    """

    split: Split
    key: str
    image: str
    label: str | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A published folder layout that was recognised in `folder`.

    Attributes:
        name: the layout, for a person and for the manifest.
        encoding: how its label files say which class a pixel has.
        unlisted: pictures that no pair uses: a list was cut short, or files were added.
    """

    folder: Path
    name: str
    encoding: Encoding
    pairs: tuple[Pair, ...]
    unlisted: tuple[str, ...] = ()
