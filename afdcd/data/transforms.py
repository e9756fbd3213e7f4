"""Augmentation and normalisation: pure functions of (image, label, random generator).

Axes: H W rows and columns of the stored image, h w those of the crop. Images are RGB uint8.
"""

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from afdcd.data.catalog import IGNORE

Normalisation = Literal["imagenet", "caffe"]
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)

# Per channel, on 0..255, shaped to broadcast over rows and columns.
_IMAGENET_MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1)
_IMAGENET_STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1)
_CAFFE_MEAN_BGR = torch.tensor([104.00698793, 116.66876762, 122.67891434]).view(3, 1, 1)


def normalise(image: UInt8[np.ndarray, "H W 3"], name: Normalisation) -> Float32[Tensor, "3 H W"]:
    """`imagenet`: RGB, minus mean, over standard deviation, as torchvision and timm weights expect.

    `caffe`: BGR minus mean without division, as OSVAI/Af-DCD@5b086a7 feeds its networks.
    """
    bgr = name == "caffe"
    channels = np.ascontiguousarray((image[:, :, ::-1] if bgr else image).transpose(2, 0, 1))
    values = torch.from_numpy(channels).float()
    return values.sub_(_CAFFE_MEAN_BGR) if bgr else values.sub_(_IMAGENET_MEAN).div_(_IMAGENET_STD)


def scale_steps(scale: tuple[float, float], step: float) -> NDArray[np.floating]:
    """The factors to draw from: `scale[0]`, then every `step` up to and including `scale[1]`."""
    count = int((scale[1] - scale[0]) / step + 1e-6) + 1
    return scale[0] + step * np.arange(count)


def augment(
    image: UInt8[np.ndarray, "H W 3"],
    label: UInt8[np.ndarray, "H W"],
    rng: np.random.Generator,
    *,
    crop: tuple[int, int],
    scales: NDArray[np.floating],
    flip: bool,
    normalisation: Normalisation,
) -> tuple[Float32[Tensor, "3 h w"], UInt8[Tensor, "h w"]]:
    """Random scale, random crop to `crop` (h, w), flip with probability 1/2, normalise.

    Recipe: OSVAI/Af-DCD@5b086a7 `dataset/`: image bilinear, label nearest; what a small image
    leaves empty at the bottom and right is the mean colour (0 after normalisation) and IGNORE.
    Differs in that both use pixel centres, so the label does not shift by half a pixel.
    """
    height, width = image.shape[:2]
    factor = rng.choice(scales)
    scaled = max(1, round(height * factor)), max(1, round(width * factor))
    top, left = (int(rng.integers(max(0, s - c) + 1)) for s, c in zip(scaled, crop, strict=True))
    flipped = flip and bool(rng.integers(2))
    # One affine map from the crop back to the source: only the pixels that stay are computed.
    y, x = height / scaled[0], width / scaled[1]
    mapping = (x, 0.0, left * x, 0.0, y, top * y)
    size = (crop[1], crop[0])
    cut = Image.fromarray(image).transform(
        size, Image.Transform.AFFINE, mapping, Image.Resampling.BILINEAR
    )
    cut_label = Image.fromarray(label).transform(
        size, Image.Transform.AFFINE, mapping, Image.Resampling.NEAREST, fillcolor=IGNORE
    )
    pixels = normalise(np.asarray(cut), normalisation)
    classes = torch.from_numpy(np.array(cut_label))
    pixels[:, scaled[0] - top :] = 0
    pixels[:, :, scaled[1] - left :] = 0
    if flipped:
        return pixels.flip(2), classes.flip(1)
    return pixels, classes
