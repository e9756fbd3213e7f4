"""What every converter yields: which picture belongs to which label, before either is opened."""

from dataclasses import dataclass
from pathlib import Path

from afdcd.data.catalog import Split


@dataclass(frozen=True, slots=True)
class Pair:
    """`image` and `label` are paths below the source folder, with forward slashes."""

    split: Split
    key: str
    image: str
    label: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A published folder layout that was recognised in `folder`.

    `unlisted` are pictures that no pair uses: a list was cut short, or files were added.
    """

    folder: Path
    name: str
    pairs: tuple[Pair, ...]
    unlisted: tuple[str, ...]
