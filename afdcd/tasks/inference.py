"""Predictions at label size: whole images or sliding windows, one scale or several, mirrored or not.

Axes: b images, k classes, h w rows and columns of the logits, H W of the image or the label map.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from afdcd.models.outputs import Output
from afdcd.tasks.options import SINGLE_PASS, InferenceConfig

# Classes upsampled at a time: 150 classes at 1024x2048 would need 1.3 GB for one image.
CLASS_CHUNK = 32
# Probabilities held at a time, as the rows of the label map that fit: 64 MiB in float32.
BAND = 2**24

Forward = Callable[[Float[Tensor, "b 3 H W"]], Output]


def predict_labels(
    network: nn.Module,
    images: Float[Tensor, "b 3 H W"],
    size: tuple[int, int],
    inference: InferenceConfig = SINGLE_PASS,
) -> Int[Tensor, "b {size[0]} {size[1]}"]:
    """Most likely class of each pixel at `size` (rows, columns)."""
    return most_likely(network, images, size, inference)


def most_likely(
    forward: Forward,
    images: Float[Tensor, "b 3 H W"],
    size: tuple[int, int],
    inference: InferenceConfig,
) -> Int[Tensor, "b {size[0]} {size[1]}"]:
    """`predict_labels` for a function that gives logits of any size.

    One pass takes the argmax of the upsampled logits. Several average probabilities: over the
    windows that see a pixel, then over scales and mirror images. Windows are placed as in
    hszhao/semseg@539ef34 `tool/test.py`: the last ones end at the border, and an image that is
    smaller than a window is padded with the mean colour. Differs in that logits go to label size
    in one step, by the network's own rule, and that it pads at the bottom and right, as in training.

    Besides 4 x 64 MiB it holds the logits of all passes: at 1024x2048, output stride 8 and 171
    classes 22 MB for a pass over the whole image, 390 MB for scales 0.5..1.75 with mirror images,
    and 2.25 times that for windows at a stride of 2/3.
    """
    if inference.single_pass:
        output = forward(images)
        return _upsampled_argmax(output.logits, size, output.align_corners)
    scales = [list(_views(forward, images, size, scale, inference)) for scale in inference.scales]
    batch, classes = scales[0][0].logits.shape[:2]
    labels = torch.empty((batch, *size), dtype=torch.int64, device=images.device)
    rows = max(1, BAND // (batch * classes * size[1]))
    for top in range(0, size[0], rows):
        bottom = min(size[0], top + rows)
        band = sum(_mean_probabilities(views, top, bottom, size[1]) for views in scales)
        labels[:, top:bottom] = torch.as_tensor(band).argmax(dim=1)
    return labels


def _upsampled_argmax(
    logits: Float[Tensor, "b k h w"], size: Sequence[int], align: bool
) -> Int[Tensor, "b H W"]:
    # Upsampled in half precision, neighbouring classes would tie.
    logits = logits.float()
    score, labels = _upsample(logits[:, :CLASS_CHUNK], size, align).max(dim=1)
    for first in range(CLASS_CHUNK, logits.shape[1], CLASS_CHUNK):
        chunk = _upsample(logits[:, first : first + CLASS_CHUNK], size, align)
        chunk_score, chunk_labels = chunk.max(1)
        labels = torch.where(chunk_score > score, chunk_labels + first, labels)
        score = torch.maximum(score, chunk_score)
    return labels


def _upsample(
    logits: Float[Tensor, "b k h w"], size: Sequence[int], align: bool = True
) -> Float[Tensor, "b k H W"]:
    return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=align)


@dataclass(frozen=True)
class _Span:
    """Along one axis: the pixels `first` to `stop` - 1 of the label map, and where each lies on the
    logits' grid."""

    first: int
    stop: int
    positions: Float[Tensor, " n"]


@dataclass(frozen=True)
class _View:
    """What one pass says about a rectangle of the label map."""

    logits: Float[Tensor, "b k h w"]
    rows: _Span
    columns: _Span


def _views(
    forward: Forward,
    images: Float[Tensor, "b 3 H W"],
    size: tuple[int, int],
    scale: float,
    inference: InferenceConfig,
) -> Iterator[_View]:
    shown = tuple(max(1, round(side * scale)) for side in images.shape[-2:])
    if shown != images.shape[-2:]:
        images = _upsample(images, shown)
    window = inference.window or shown
    padding = [max(0, window[0] - shown[0]), max(0, window[1] - shown[1])]
    images = F.pad(images, (0, padding[1], 0, padding[0]))
    for top in _starts(shown[0], window[0], inference.stride):
        for left in _starts(shown[1], window[1], inference.stride):
            part = images[:, :, top : top + window[0], left : left + window[1]].contiguous()
            for mirrored in (False, True)[: 1 + inference.flip]:
                output = forward(part.flip(3) if mirrored else part)
                logits = output.logits.flip(3) if mirrored else output.logits
                grid, align = logits.shape[2:], output.align_corners
                yield _View(
                    logits.float(),
                    _span(size[0], shown[0], top, window[0], grid[0], align=align),
                    _span(size[1], shown[1], left, window[1], grid[1], align=align),
                )


def _starts(side: int, window: int, stride: float) -> list[int]:
    """Where windows begin along one side; together they cover it."""
    step = math.ceil(window * stride)
    count = max(0, math.ceil((side - window) / step)) + 1
    return [max(0, min(index * step, side - window)) for index in range(count)]


def _span(
    label: int, shown: int, start: int, window: int, logits: int, *, align: bool = True
) -> _Span:
    """Where the pixels of a label map lie on the logits of a window.

    Corners of label map and image lie upon corners, as images are resized; those of window and
    logits by the network's rule.

    Args:
        align: that rule: corners upon corners, else edges upon edges.
        label, shown, window, logits: lengths of the label map, of the resized image, of the
            window, and of its logits.
    """
    pixels = torch.arange(label, dtype=torch.float64)
    places = _scaled(pixels, label, shown)
    # Half a pixel around the window, so that no place falls between two that abut.
    inside = (places >= start - 0.5) & (places < start + window - 0.5)
    first, count = int(inside.float().argmax()), int(inside.sum())
    places = places[first : first + count].sub(start).clamp(0, window - 1)
    positions = _scaled(places, window, logits, align).clamp(0, logits - 1)
    return _Span(first, first + count, positions)


def _scaled(places: Float[Tensor, " n"], inputs: int, outputs: int, align: bool = True) -> Tensor:
    """Places on a grid of `inputs` pixels as places on one of `outputs`."""
    if align:
        return places * (outputs - 1) / max(1, inputs - 1)
    return (places + 0.5) * outputs / inputs - 0.5


def _mean_probabilities(
    views: list[_View], top: int, bottom: int, width: int
) -> Float[Tensor, "b k {bottom-top} {width}"]:
    """Over the views of one scale, for the rows `top` to `bottom` - 1 of the label map."""
    logits = views[0].logits
    total = logits.new_zeros((*logits.shape[:2], bottom - top, width))
    count = logits.new_zeros((bottom - top, width))
    for view in views:
        first, stop = max(top, view.rows.first), min(bottom, view.rows.stop)
        if first >= stop:
            continue
        rows = view.rows.positions[first - view.rows.first : stop - view.rows.first]
        upsampled = _lerp(_lerp(view.logits, rows, 2), view.columns.positions, 3)
        place = slice(first - top, stop - top), slice(view.columns.first, view.columns.stop)
        total[:, :, place[0], place[1]] += upsampled.softmax(dim=1)
        count[place] += 1
    return total.div_(count)


def _lerp(values: Tensor, positions: Float[Tensor, " n"], dim: int) -> Tensor:
    """`values` at fractional `positions` along `dim`."""
    low = positions.long().clamp(max=values.shape[dim] - 1)
    high = (low + 1).clamp(max=values.shape[dim] - 1)
    share = (positions - low).to(values).view(-1, *[1] * (values.ndim - 1 - dim))
    below = values.index_select(dim, low.to(values.device))
    return below.lerp_(values.index_select(dim, high.to(values.device)), share)
