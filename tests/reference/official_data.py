"""A training sample as OSVAI/Af-DCD@5b086a7 `dataset/` makes it from two loose files.

The whole picture is decoded, resized, made float and padded before a window is cut out of it, and
label values are translated by one masked assignment per value. Axes: H W the picture, h w the crop.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32

MEAN_BGR = np.array([104.00698793, 116.66876762, 122.67891434])
IGNORED = -1
STEPS = 15  # scales: 0.5, 0.6, ... 2.0

Draw = Callable[[int, int], int]


def official_sample(
    image_file: Path, label_file: Path, table: Mapping[int, int], crop: tuple[int, int], draw: Draw
) -> tuple[Float32[np.ndarray, "3 h w"], Float32[np.ndarray, "h w"]]:
    """BGR minus mean, and train ids.

    Args:
        table: raw label value -> train id, for the values that are to be translated.
        draw: a whole number between two, both included; asked for scale, row, column and flip.
    """
    image = cv2.imread(str(image_file), cv2.IMREAD_COLOR)
    raw = cv2.imread(str(label_file), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    assert raw is not None
    label: np.ndarray = raw.astype(np.int32)
    for value, train in table.items():
        label[raw == value] = train
    scale = 0.5 + draw(0, STEPS) / 10.0
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    label = cv2.resize(label, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    values = np.asarray(image, np.float32) - MEAN_BGR  # in float64, as numpy promotes
    missing = [max(side - have, 0) for side, have in zip(crop, label.shape, strict=True)]
    if any(missing):
        below, right = missing
        border = (0, below, 0, right, cv2.BORDER_CONSTANT)
        values = cv2.copyMakeBorder(values, *border, value=(0.0, 0.0, 0.0))
        label = cv2.copyMakeBorder(label, *border, value=(IGNORED,))
    top, left = (draw(0, have - side) for side, have in zip(crop, label.shape, strict=True))
    rows, columns = slice(top, top + crop[0]), slice(left, left + crop[1])
    pixels = np.asarray(values[rows, columns], np.float32).transpose(2, 0, 1)
    classes = np.asarray(label[rows, columns], np.float32)
    step = draw(0, 1) * 2 - 1
    return pixels[:, :, ::step].copy(), classes[:, ::step].copy()
