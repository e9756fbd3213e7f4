"""Judging a raw picture and its label: every file is decoded once, none is trusted."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from afdcd.data.catalog import Dataset
from afdcd.data.convert.pairs import Pair
from afdcd.data.images import PictureError, decode, encode_jpeg, encode_png, to_rgb
from afdcd.data.labels import IGNORE, Encoding
from afdcd.data.manifest import class_pixels
from afdcd.data.shards import Row

T = TypeVar("T")


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
    encoding: Encoding,
    jpeg_quality: int | None = None,
) -> Verdict:
    """Decode both files, map the label to train ids, and encode the row.

    The image keeps its bytes, whatever its mode, unless `jpeg_quality` asks for JPEG. Where labels
    are withheld, all pixels are IGNORE.
    """
    offences: list[str] = []
    image_bytes, image = _read(folder, pair.image, _picture, offences) or (b"", None)
    if pair.label is not None:
        ids = _read(folder, pair.label, encoding.train_ids, offences)
    elif image:
        ids = np.full((image.height, image.width), IGNORE, np.uint8)
    if image and ids is not None and (image.height, image.width) != ids.shape:
        offences.append(
            f"{pair.label}: {ids.shape[1]}x{ids.shape[0]} pixels, its image {_size(image)}: "
            "use labels and images of one edition"
        )
    if offences or image is None or ids is None:
        return Verdict(None, np.zeros(len(dataset.classes) + 1, np.int64), tuple(offences), ())
    stored = image_bytes if jpeg_quality is None else encode_jpeg(to_rgb(image), jpeg_quality)
    row = Row(pair.key, stored, encode_png(ids), *ids.shape)
    return Verdict(row, class_pixels(ids, len(dataset.classes)), (), _remarks(image, dataset))


def _picture(data: bytes) -> tuple[bytes, Image.Image]:
    return data, decode(data)


def _read(
    folder: Path, name: str, understand: Callable[[bytes], T], offences: list[str]
) -> T | None:
    try:
        return understand((folder / name).read_bytes())
    except FileNotFoundError:
        offences.append(f"{name}: missing file: fetch it, or take it off the list")
    except OSError as error:
        offences.append(f"{name}: cannot be opened ({error.strerror}): check its permissions")
    except PictureError as reason:
        offences.append(f"{name}: {reason}")
    return None


def _remarks(image: Image.Image, dataset: Dataset) -> tuple[str, ...]:
    remarks = [] if image.mode == "RGB" else [f"stored as {image.mode}, read as RGB"]
    if dataset.image_size not in (None, (image.height, image.width)):
        height, width = dataset.image_size or (0, 0)
        remarks.append(f"{_size(image)} pixels, published {width}x{height}")
    return tuple(remarks)


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
