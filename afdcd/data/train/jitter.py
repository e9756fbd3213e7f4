"""Photometric jitter, off by default: the paper has none.

Meaning of the strengths: `torchvision.transforms.v2.ColorJitter` (pytorch/vision@v0.25.0
`torchvision/transforms/v2/_color.py`), with OpenCV's arithmetic on uint8, so values differ from
torchvision's by a level or two and by what 8-bit HSV rounds off the hue.
"""

from collections.abc import Callable

import cv2
import numpy as np
from jaxtyping import UInt8

from afdcd.data.train.config import Jitter

Image = UInt8[np.ndarray, "h w 3"]


def jitter(image: Image, rng: np.random.Generator, strengths: Jitter) -> Image:
    """`image` with the four changes in random order; draws nothing where all strengths are 0."""
    if strengths == Jitter():
        return image
    changes: list[tuple[Callable[[Image, float], Image], float, float]] = [
        (brightness, *_factor(strengths.brightness)),
        (contrast, *_factor(strengths.contrast)),
        (saturation, *_factor(strengths.saturation)),
        (hue, -strengths.hue, strengths.hue),
    ]
    for place in rng.permutation(len(changes)):
        change, low, high = changes[place]
        amount = rng.uniform(low, high)
        if low < high:
            image = change(image, amount)
    return image


def brightness(image: Image, factor: float) -> Image:
    """Towards black."""
    return _looked_up(image, factor, 0.0)


def contrast(image: Image, factor: float) -> Image:
    """Towards the mean luminance of the picture."""
    luminance = float(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0])
    return _looked_up(image, factor, (1 - factor) * luminance)


def saturation(image: Image, factor: float) -> Image:
    """Towards each pixel's luminance."""
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.addWeighted(image, factor, gray, 1 - factor, 0))


def hue(image: Image, turn: float) -> Image:
    """Around the colour circle, of which 1 is the whole."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[:, :, 0] += np.uint8(round(256 * turn) % 256)  # wraps as the circle does
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL))


def _factor(strength: float) -> tuple[float, float]:
    return max(0.0, 1 - strength), 1 + strength


def _looked_up(image: Image, factor: float, offset: float) -> Image:
    table = np.clip(factor * np.arange(256) + offset, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(image, table))
