"""The paper's augmentation, crop-aware, on uint8; normalisation, on the device.

Axes: b images, H W rows and columns of the stored image, h w those of the crop. Images are RGB.

Equal to OSVAI/Af-DCD@5b086a7 `dataset/`, bit for bit: one of sixteen scales from 0.5 to 2.0;
`cv2.resize(..., fx=scale, fy=scale)`, image INTER_LINEAR, label INTER_NEAREST; padding at the bottom
and right with the mean colour (0 after normalisation) and "ignore"; a uniformly drawn window; a flip
with probability 1/2. Different from it:
- Only what the window needs is decoded and resized; the result is that of resizing everything.
- The random numbers come from a generator of each sample, not from one of the process.
- RGB over its standard deviation (`imagenet`), unless `caffe` asks for BGR minus mean as it has.
- Ignored pixels are 255 in uint8, not -1 in float32.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from torch import Tensor

from afdcd.data.train.config import Normalisation

# Per channel, on 0..255.
_MEAN_STD = {
    "imagenet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "caffe": ((104.00698793, 116.66876762, 122.67891434), (1.0, 1.0, 1.0)),
}
_WEIGHT_STEPS = 2048  # in which OpenCV counts the weight of a neighbour
_LONGEST_PERIOD = 64  # source pixels; where a scale repeats less often, nothing is gained

# Loader processes share the cores already; and a forked child has no threads of its parent's pool.
cv2.setNumThreads(0)


def normalise(image: UInt8[np.ndarray, "H W 3"], name: Normalisation) -> Float32[Tensor, "3 H W"]:
    """`imagenet`: RGB, minus mean, over standard deviation, as torchvision and timm weights expect.

    `caffe`: BGR minus mean without division, as OSVAI/Af-DCD@5b086a7 feeds its networks.
    """
    channels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return normalised(channels[None], name)[0]


def normalised(images: UInt8[Tensor, "b 3 H W"], name: Normalisation) -> Float32[Tensor, "b 3 H W"]:
    """`normalise` for a batch, on the device where it lies and in its memory format."""
    mean, std = _mean_std(name, images.device)
    if name == "caffe":
        return images.flip(1).float().sub_(mean)
    return images.float().sub_(mean).div_(std)


def renormaliser(
    shown: Normalisation, wanted: Normalisation
) -> Callable[[Float32[Tensor, "b 3 H W"]], Float32[Tensor, "b 3 H W"]] | None:
    """From images that are normalised in one way to the same in another; None where both are one."""
    if shown == wanted:
        return None
    flips = "caffe" in (shown, wanted)  # it alone is BGR

    def renormalise(images: Float32[Tensor, "b 3 H W"]) -> Float32[Tensor, "b 3 H W"]:
        (old_mean, old_std), (mean, std) = (_mean_std(n, images.device) for n in (shown, wanted))
        pixels = images * old_std + old_mean
        return ((pixels.flip(1) if flips else pixels) - mean) / std

    return renormalise


@lru_cache
def _mean_std(name: Normalisation, device: torch.device) -> tuple[Tensor, Tensor]:
    """Kept on the device: copying them for each batch would hold up the host."""
    with torch.inference_mode(False):  # whoever asks first, training uses them too
        mean, std = (torch.tensor(values).view(3, 1, 1).to(device) for values in _MEAN_STD[name])
    return mean, std


def scale_steps(scale: tuple[float, float], step: float) -> NDArray[np.floating]:
    """The factors to draw from: `scale[0]`, then every `step` up to and including `scale[1]`.

    Each is the number nearest to its decimals: 1.2, not 0.5 + 7 * 0.1.
    """
    count = int((scale[1] - scale[0]) / step + 1e-6) + 1
    return np.round(scale[0] + step * np.arange(count), 9)


@dataclass(frozen=True, slots=True)
class Window:
    """A window of the scaled image: what of it shows the image, and whether it is mirrored.

    Attributes:
        top, left: of the window, in pixels of the scaled image.
        height, width: of what it shows, at most the crop's; what is missing is padding.
    """

    scale: float
    top: int
    left: int
    height: int
    width: int
    flip: bool

    def rows(self, height: int) -> int:
        """How many rows of an image of `height` rows it depends on, counted from the first."""
        return _needed(self.top + self.height, self.scale, height)


def draw_window(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    crop: tuple[int, int],
    scales: NDArray[np.floating],
    flip: bool,
) -> Window:
    """A window of `crop` (h, w) for an image of `size` (H, W)."""
    scale = float(rng.choice(scales))
    scaled = [_scaled(side, scale) for side in size]
    top, left = (int(rng.integers(max(0, s - c) + 1)) for s, c in zip(scaled, crop, strict=True))
    height, width = (min(s, c) for s, c in zip(scaled, crop, strict=True))
    return Window(scale, top, left, height, width, flip and bool(rng.integers(2)))


def cut_image(
    image: UInt8[np.ndarray, "R W 3"], height: int, window: Window
) -> UInt8[np.ndarray, "h w 3"]:
    """What `window` shows of an image of `height` rows; `image` has its first `rows` at least."""
    scale, width = window.scale, image.shape[1]
    rows, top = _band(window.top, window.height, scale, height)
    columns, left = _band(window.left, window.width, scale, width)
    part = image[rows, columns]
    if scale != 1:
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    shown = part[top : top + window.height, left : left + window.width]
    return cv2.flip(shown, 1) if window.flip else shown


def cut_label(
    label: UInt8[np.ndarray, "R W"], height: int, window: Window
) -> UInt8[np.ndarray, "h w"]:
    """What `window` shows of a label of `height` rows; `label` has its first `rows` at least."""
    rows = _nearest(window.top, window.height, window.scale, height)
    columns = _nearest(window.left, window.width, window.scale, label.shape[1])
    columns = columns[::-1] if window.flip else columns
    return label.take(rows, axis=0).take(columns, axis=1)


def _scaled(side: int, scale: float) -> int:
    return max(1, round(side * scale))  # halves to the even number, as OpenCV does


def _needed(stop: int, scale: float, size: int) -> int:
    """Source pixels that scaled pixels before `stop` depend on, counted from the first."""
    return min(size, int((stop + 0.5) / scale) + 2)


def _nearest(start: int, count: int, scale: float, size: int) -> NDArray[np.intp]:
    """INTER_NEAREST: the source pixel of each scaled one."""
    places = np.floor(np.arange(start, start + count) * (1 / scale)).astype(np.intp)
    return np.minimum(places, size - 1)


def _band(start: int, count: int, scale: float, size: int) -> tuple[slice, int]:
    """The source pixels to resize so that nothing shows that they are a part; where `start` is then.

    Every q source pixels give p scaled ones (scale = p/q), so a part that begins at a multiple of q
    is resized as it would be within the whole; except that OpenCV rounds positions to float32 and
    then weights to 1/2048, which may come out differently further left. Then, and for a scale that is
    no such fraction, the part begins at the first pixel. It may end early in any case.
    """
    stop = _needed(start + count, scale, size)
    scaled, period = _repeats(scale)
    begin = max(0, int(start / scale) - 1) // period * period if period else 0
    if begin == 0:
        return slice(0, stop), start
    moved = begin // period * scaled
    whole, part = (_weights(start - by, count, scale) for by in (0, moved))
    same = np.array_equal(whole[0], part[0] + begin) and np.array_equal(whole[1], part[1])
    return (slice(begin, stop), start - moved) if same else (slice(0, stop), start)


@lru_cache
def _repeats(scale: float) -> tuple[int, int]:
    """(p, q) of a scale that is p/q; (0, 0) where it is no such fraction."""
    fraction = Fraction(scale).limit_denominator(_LONGEST_PERIOD)
    exact = abs(float(fraction) - scale) < 1e-9
    return (fraction.numerator, fraction.denominator) if exact else (0, 0)


def _weights(
    start: int, count: int, scale: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """INTER_LINEAR: the first of two source pixels, and the second one's weight in 1/2048."""
    places = ((np.arange(start, start + count) + 0.5) * (1 / scale) - 0.5).astype(np.float32)
    first = np.floor(places)
    return first, np.rint((places - first) * _WEIGHT_STEPS)
