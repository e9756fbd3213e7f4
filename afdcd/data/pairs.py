"""What every converter yields: which picture belongs to which label, before either is opened."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from afdcd.data.catalog.labels import Drawing, Encoding
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.places import Place

NO_UTF8 = (
    "its name is no UTF-8, and names are kept as keys: rename it "
    "(convmv -r -f latin1 -t utf-8 --notest FOLDER)"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """`image` and `label` are places below the source folder; paths have forward slashes.

    `label` is None in a split whose labels are withheld.
    """

    split: Split
    key: str
    image: Place
    label: Place | None


@dataclass(frozen=True, slots=True)
class Layout:
    """A published folder layout that was recognised in `folder`.

    Attributes:
        name: the layout, for a person and for the manifest.
        encoding: how its label files say which class a pixel has.
        unlisted: pictures that no pair uses: a list was cut short, or files were added.
        refused: `file: reason: remedy` of entries that make no pair.
        warnings: what a person should know of the set as a whole.
    """

    folder: Path
    name: str
    encoding: Encoding | Drawing
    pairs: tuple[Pair, ...]
    unlisted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def pair_up(
    split: Split,
    images: Mapping[str, str],
    labels: Mapping[str, str],
    image_of: Callable[[str], str],
    label_of: Callable[[str], str],
) -> list[Pair]:
    """Pairs by key, sorted; what lacks its partner is paired with the file that should exist.

    `image_of` and `label_of` give the path of that file, so that it is reported as missing.
    """
    return [
        Pair(split, key, images.get(key) or image_of(key), labels.get(key) or label_of(key))
        for key in sorted(images.keys() | labels.keys())
    ]


def in_folder(folder: str, ending: str) -> Callable[[str], str]:
    """Where the file of a key should lie, for `pair_up`."""
    return lambda key: f"{folder}/{key}{ending}"


def label_files(pairs: Iterable[Pair]) -> list[str]:
    """The labels that are files of their own."""
    return [pair.label for pair in pairs if isinstance(pair.label, str)]


def unlabelled(split: Split, images: Mapping[str, str]) -> list[Pair]:
    """Pairs of a split whose labels are withheld."""
    return [Pair(split, key, image, None) for key, image in sorted(images.items())]


def counted(pairs: Iterable[Pair]) -> str:
    """Images per split for the name of a layout, e.g. `2975/500/1525 images`."""
    counts = Counter(pair.split for pair in pairs)
    return "/".join(str(counts[split]) for split in SPLITS) + " images"
