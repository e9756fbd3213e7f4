"""Encodings that one edition of one data set has alone: SBD's .mat files, the full ADE20K's RGB."""

import io
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from afdcd.data.catalog.labels import Colours, Numbers, TrainIds
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import PictureError, decode
from afdcd.text import first_line

_MAT = b"MATLAB 5.0 MAT-file"

_FULL_CLASSES = 3688  # of ADE20K_2021_17_01, the larger of the two editions


@dataclass(frozen=True)
class OrMat:
    """Pictures, and among them SBD's .mat files `GTcls.Segmentation`: 0..20, no ignored pixels.

    VOC's official images have pictures with ignored borders, the 9118 that SBD adds have .mat
    files: one train split holds both kinds.
    """

    pictures: Numbers | Colours
    mats: Numbers

    @property
    def name(self) -> str:
        return f"{self.pictures.name}; {self.mats.name}"

    def train_ids(self, data: bytes) -> TrainIds:
        if data.startswith(_MAT):
            return self.mats.translate(_segmentation(data))
        return self.pictures.train_ids(data)


def _segmentation(data: bytes) -> Image.Image:
    from scipy.io import loadmat  # slow to import, and nobody else needs it
    from scipy.io.matlab import MatReadError

    faults = (MatReadError, OSError, LookupError, TypeError, ValueError, zlib.error)
    try:
        content = loadmat(io.BytesIO(data), variable_names=["GTcls"])
    except faults as error:
        raise PictureError(
            f"truncated or damaged .mat ({first_line(error)}): fetch it again"
        ) from None
    if "GTcls" not in content:
        raise PictureError("no GTcls in this .mat: use the files of SBD's cls/")
    return Image.fromarray(content["GTcls"][0]["Segmentation"][0])


@dataclass(frozen=True)
class AdeFull:
    """The full ADE20K's `_seg.png`: class (R // 10) * 256 + G, object number in B.

    Attributes:
        table: class of the full edition -> train id; all others are ignored.
    """

    name: str
    table: Mapping[int, int]

    def train_ids(self, data: bytes) -> TrainIds:
        label = decode(data)
        if label.mode != "RGB":
            raise PictureError(
                f"{label.mode} label, RGB expected: use the _seg.png of the full edition"
            )
        pixels = np.asarray(label)
        classes = (pixels[:, :, 0] // 10).astype(np.uint16) << 8 | pixels[:, :, 1]
        if classes.max() > _FULL_CLASSES:
            raise PictureError(
                f"class {classes.max()} of {_FULL_CLASSES}: a photograph, or a colour picture of "
                "the challenge edition? use the _seg.png of the full edition"
            )
        return self._lookup[classes]

    @cached_property
    def _lookup(self) -> UInt8[np.ndarray, "3689"]:
        lookup = np.full(_FULL_CLASSES + 1, IGNORE, dtype=np.uint8)
        for index, train in self.table.items():
            lookup[index] = train
        return lookup
