"""Judging a raw picture and its label: every file is decoded once, none is trusted."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from afdcd.data.catalog import Dataset
from afdcd.data.convert.pairs import Pair
from afdcd.data.images import PictureError, decode, encode_jpeg, encode_png, to_rgb, to_train_ids
from afdcd.data.manifest import class_pixels
from afdcd.data.shards import Row


@dataclass(frozen=True, slots=True)
class Verdict:
    """Either a row, or what is wrong: `file: reason: remedy`, one line per file.

    `remarks` are oddities that the reader copes with and a person may want to know of.
    """

    row: Row | None
    pixels: np.ndarray
    offences: tuple[str, ...]
    remarks: tuple[str, ...]


def judge(folder: Path, pair: Pair, dataset: Dataset, jpeg_quality: int | None = None) -> Verdict:
    """Decode both files, map the label to train ids, and encode the row.

    The image keeps its bytes, whatever its mode, unless `jpeg_quality` asks for JPEG.
    """
    offences: list[str] = []
    image_bytes, image = _open(folder, pair.image, offences)
    _, label = _open(folder, pair.label, offences)
    ids = _train_ids(label, pair, dataset, offences) if label else None
    if image and label and image.size != label.size:
        offences.append(
            f"{pair.label}: {_size(label)} pixels, its image {_size(image)}: "
            "use labels and images of one edition"
        )
    if offences or image is None or ids is None:
        return Verdict(None, np.zeros(len(dataset.classes) + 1, np.int64), tuple(offences), ())
    stored = image_bytes if jpeg_quality is None else encode_jpeg(to_rgb(image), jpeg_quality)
    row = Row(pair.key, stored, encode_png(ids), *ids.shape)
    return Verdict(row, class_pixels(ids, len(dataset.classes)), (), _remarks(image, dataset))


def _open(folder: Path, name: str, offences: list[str]) -> tuple[bytes, Image.Image | None]:
    try:
        data = (folder / name).read_bytes()
        return data, decode(data)
    except FileNotFoundError:
        offences.append(f"{name}: missing file: fetch it, or take it off the list")
    except OSError as error:
        offences.append(f"{name}: cannot be opened ({error.strerror}): check its permissions")
    except PictureError as reason:
        offences.append(f"{name}: {reason}")
    return b"", None


def _train_ids(
    label: Image.Image, pair: Pair, dataset: Dataset, offences: list[str]
) -> np.ndarray | None:
    try:
        return to_train_ids(label, dataset.raw_to_train)
    except PictureError as reason:
        offences.append(f"{pair.label}: {reason}")
        return None


def _remarks(image: Image.Image, dataset: Dataset) -> tuple[str, ...]:
    remarks = [] if image.mode == "RGB" else [f"stored as {image.mode}, read as RGB"]
    if dataset.image_size not in (None, (image.height, image.width)):
        height, width = dataset.image_size or (0, 0)
        remarks.append(f"{_size(image)} pixels, published {width}x{height}")
    return tuple(remarks)


def _size(image: Image.Image) -> str:
    return f"{image.width}x{image.height}"
