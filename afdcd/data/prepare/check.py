"""Judging a raw picture and its label: every file is decoded once, none is trusted."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Drawing, Encoding, TrainIds, View
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import PictureError, decode, encode_label, to_rgb
from afdcd.data.pairs import NO_UTF8, Pair
from afdcd.data.places import Place, read
from afdcd.data.prepare.storing import Storing
from afdcd.data.shards.manifest import class_pixels
from afdcd.data.shards.parquet import Row
from afdcd.data.viewed import notes, orientation
from afdcd.text import is_utf8, printable

T = TypeVar("T")

_AS_SHIPPED = Storing()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Either a row, or what is wrong: `file: reason: remedy`, one line per file.

    `remarks` are oddities that the reader copes with and a person may want to know of.
    """

    row: Row | None
    pixels: np.ndarray
    offences: tuple[str, ...]
    remarks: tuple[str, ...]


def judge(
    folder: Path,
    pair: Pair,
    dataset: Dataset,
    encoding: Encoding | Drawing,
    storing: Storing = _AS_SHIPPED,
) -> Verdict:
    """Decode both files, map the label to train ids, and encode the row.

    The image keeps its bytes, whatever its mode, unless `storing` asks for others. Where labels are
    withheld, all pixels are IGNORE.
    """
    with warnings.catch_warnings(record=True) as noise:
        warnings.simplefilter("always")
        verdict = _judge(folder, pair, dataset, encoding, storing)
    said = {f"Pillow warns: {_gist(str(warning.message))}" for warning in noise}
    return replace(
        verdict,
        offences=tuple(printable(offence) for offence in verdict.offences),
        remarks=(*verdict.remarks, *sorted(said)),
    )


def _judge(
    folder: Path, pair: Pair, dataset: Dataset, encoding: Encoding | Drawing, storing: Storing
) -> Verdict:
    offences = [
        f"{name}: {NO_UTF8}" for name in (pair.image, pair.label) if not is_utf8(str(name or ""))
    ]
    if offences:
        return _unusable(dataset, offences)
    ids = None
    picture = _read(folder, pair.image, lambda data: _picture(data, storing), offences)
    image = picture.image if picture else None
    turn = orientation(image) if image else 1
    if pair.label is not None:
        understand = _reader(encoding, image, turn)
        ids = _read(folder, pair.label, understand, offences) if understand else None
    elif image:
        ids = np.full((image.height, image.width), IGNORE, np.uint8)
    if image and ids is not None and (image.height, image.width) != ids.shape:
        offences.append(_mismatch(pair, image, ids, turn))
    if offences or picture is None or ids is None:
        return _unusable(dataset, offences)
    ids = storing.label(ids)
    row = Row(pair.key, picture.stored, encode_label(ids), *ids.shape)
    remarks = _remarks(picture.image, turn, dataset)
    return Verdict(row, class_pixels(ids, len(dataset.classes)), (), remarks)


def _reader(
    encoding: Encoding | Drawing, image: Image.Image | None, turn: int
) -> Callable[[bytes], TrainIds] | None:
    """None for a label that is to be drawn over a picture that cannot be read."""
    if not isinstance(encoding, Drawing):
        return encoding.train_ids
    return partial(encoding.draw, view=View(image.height, image.width, turn)) if image else None


def _unusable(dataset: Dataset, offences: Sequence[str]) -> Verdict:
    return Verdict(None, np.zeros(len(dataset.classes) + 1, np.int64), tuple(offences), ())


class _Picture(NamedTuple):
    """A decoded picture, and the bytes that its row keeps."""

    image: Image.Image
    stored: bytes


def _picture(data: bytes, storing: Storing) -> _Picture:
    image = decode(data)
    if image.mode != "RGB":
        to_rgb(image)  # training would fail where this does
    return _Picture(image, storing.image(data, image))


def _read(
    folder: Path, name: Place, understand: Callable[[bytes], T], offences: list[str]
) -> T | None:
    try:
        return understand(read(folder, name))
    except FileNotFoundError:
        offences.append(f"{name}: missing file: fetch it, or take it off the list")
    except OSError as error:
        offences.append(f"{name}: cannot be opened ({error.strerror}): check its permissions")
    except PictureError as reason:
        offences.append(f"{name}: {reason}")
    except MemoryError:
        offences.append(f"{name}: too large for this machine's memory: scale it down")
    return None


def _mismatch(pair: Pair, image: Image.Image, ids: np.ndarray, turn: int) -> str:
    label = f"{ids.shape[1]}x{ids.shape[0]}"
    if turn >= 5 and ids.shape == (image.width, image.height):
        return (
            f"{pair.image}: {_size(image)} pixels stored with EXIF orientation {turn}, its label "
            f"{label} fits only the turned picture: turn its pixels for good (exiftran -ai), for "
            "EXIF is never applied"
        )
    return (
        f"{pair.label}: {label} pixels, its image {_size(image)}: "
        "use labels and images of one edition"
    )


def _remarks(image: Image.Image, turn: int, dataset: Dataset) -> tuple[str, ...]:
    remarks = [] if image.mode == "RGB" else [f"stored as {image.mode}, read as RGB"]
    remarks += notes(image)
    if dataset.image_size not in (None, (image.height, image.width)):
        height, width = dataset.image_size or (0, 0)
        remarks.append(f"{_size(image)} pixels, published {width}x{height}")
    if turn != 1:
        remarks.append(f"EXIF orientation {turn} not applied: labels follow the stored pixels")
    if image.info.get("icc_profile"):
        remarks.append("ICC profile not applied")
    return tuple(remarks)


def _gist(message: str) -> str:
    """What messages of one kind have in common: their first sentence, without its numbers."""
    return re.sub(r"\d+", "N", message.split(". ")[0].split("\n")[0])


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
