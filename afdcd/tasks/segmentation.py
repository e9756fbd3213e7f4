"""Semantic segmentation as a task: its loss, its predictions, its evaluation.

Axes: b images, k classes, h w rows and columns of the logits, H W of the label map.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from afdcd.data.catalog import IGNORE
from afdcd.losses.cross_entropy import upsampled_cross_entropy
from afdcd.models.outputs import SegOutput
from afdcd.tasks.metric import ConfusionMatrix

AUX_WEIGHT = 0.4
# Classes upsampled at a time: 150 classes at 1024x2048 would need 1.3 GB for one image.
CLASS_CHUNK = 32


def task_terms(
    output: SegOutput,
    labels: Integer[Tensor, "b H W"],
    valid: Tensor,
    *,
    aux_weight: float = AUX_WEIGHT,
) -> dict[str, Float[Tensor, ""]]:
    """Cross-entropy of the logits ("task") and, weighted, of the auxiliary head ("aux").

    Each term is the sum over this rank's pixels divided by the scalar `valid`: the labelled pixels
    of all ranks divided by the number of ranks, because gradients are averaged over ranks. So n
    ranks train what one would. No labelled pixel at all gives 0.
    Source: OSVAI/Af-DCD@5b086a7 `train_ocmgd.py`: mean over valid pixels, auxiliary weight 0.4,
    bilinear upsampling with align_corners=True.
    """
    pixels = torch.where(valid > 0, valid, 1)
    terms = {"task": upsampled_cross_entropy(output.logits, labels, IGNORE) / pixels}
    if output.aux is not None:
        aux = upsampled_cross_entropy(output.aux, labels, IGNORE)
        terms["aux"] = aux_weight * aux / pixels
    return terms


def predict_labels(
    network: nn.Module, images: Float[Tensor, "b 3 H W"], size: tuple[int, int]
) -> Int[Tensor, "b {size[0]} {size[1]}"]:
    """Most likely class of each pixel at `size` (rows, columns): one pass, one scale, no flip."""
    return _upsampled_argmax(network(images).logits, size)


def _upsampled_argmax(
    logits: Float[Tensor, "b k h w"], size: Sequence[int]
) -> Int[Tensor, "b H W"]:
    # Upsampled in half precision, neighbouring classes would tie.
    logits = logits.float()
    score, labels = _upsample(logits[:, :CLASS_CHUNK], size).max(dim=1)
    for first in range(CLASS_CHUNK, logits.shape[1], CLASS_CHUNK):
        chunk_score, chunk_labels = _upsample(logits[:, first : first + CLASS_CHUNK], size).max(1)
        labels = torch.where(chunk_score > score, chunk_labels + first, labels)
        score = torch.maximum(score, chunk_score)
    return labels


def _upsample(logits: Float[Tensor, "b k h w"], size: Sequence[int]) -> Float[Tensor, "b k H W"]:
    return F.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=True)


def evaluate(
    network: nn.Module,
    images: Iterable[tuple[str, Tensor, Tensor]],
    classes: int,
    device: torch.device,
    *,
    autocast: torch.dtype | None = None,
    channels_last: bool = False,
) -> ConfusionMatrix:
    """Confusion matrix over `(key, image [1, 3, H, W], label [1, H, W])`, each at its own size.

    The network is left in the mode it came in. Adding up the ranks' `counts` is the caller's.

    Raises:
        ValueError: the network does not predict `classes` classes.
    """
    matrix = ConfusionMatrix(classes, device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    mixed = torch.autocast(device.type, dtype=autocast, enabled=autocast is not None)
    with _evaluating(network), _any_size(), torch.inference_mode():
        for _, image, label in images:
            image = image.to(device, memory_format=layout, non_blocking=True)
            with mixed:
                logits = network(image).logits
            if logits.shape[1] != classes:
                raise ValueError(
                    f"the network predicts {logits.shape[1]} classes, the data have {classes}"
                )
            predicted = _upsampled_argmax(logits, label.shape[1:])
            matrix.update(predicted, label.to(device, non_blocking=True))
    return matrix


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode; afterwards each module has its own mode back, frozen layers included."""
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@contextmanager
def _any_size() -> Iterator[None]:
    """No search for the fastest convolution, which pays in training: images differ in size."""
    searching = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = searching
