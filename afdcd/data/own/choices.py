"""What the person who prepares a data set of their own says on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afdcd.data.own.found import Raw
from afdcd.data.own.split_names import SplitBy


@dataclass(frozen=True)
class Choices:
    """What the person who prepares says.

    Attributes:
        name: of the data set in studies, models and files.
        ignore: values, colours or names of classes.
        columns: of a Parquet set: pictures, labels.
        unlabelled: a folder of pictures without labels.
    """

    source: Path
    name: str
    classes: Path | None = None
    ignore: tuple[Raw, ...] = ()
    background: str | None = None
    split_by: SplitBy | None = None
    mask_suffix: str | None = None
    columns: tuple[str, str] | None = None
    unlabelled: Path | None = None


def words(raws: Sequence[str]) -> tuple[Raw, ...]:
    """`--ignore` as typed: 255 is a value, 128,64,128 a colour, anything else a class's name."""
    found: list[Raw] = []
    for text in raws:
        parts = text.replace(" ", "").split(",")
        if len(parts) == 3 and all(_number(part) and int(part) < 256 for part in parts):
            red, green, blue = map(int, parts)
            found.append((red, green, blue))
        else:
            found.append(int(text) if _number(text) else text)
    return tuple(found)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()  # isdigit alone is true for a superscript
