"""Semantic segmentation as a task: its loss and its evaluation.

Axes: b images, k classes, h w rows and columns of the logits, H W of the label map.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor, nn

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.losses.cross_entropy import upsampled_cross_entropy
from afdcd.models.outputs import Output
from afdcd.tasks.inference import SINGLE_PASS, InferenceConfig, most_likely
from afdcd.tasks.metric import ConfusionMatrix

AUX_WEIGHT = 0.4


def task_terms(
    output: Output,
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
    bilinear upsampling by the network's own rule (there: align_corners=True).
    """
    pixels = torch.where(valid > 0, valid, 1)
    rule = {"align_corners": output.align_corners}
    terms = {"task": upsampled_cross_entropy(output.logits, labels, IGNORE, **rule) / pixels}
    if output.aux is not None:
        aux = upsampled_cross_entropy(output.aux, labels, IGNORE, **rule)
        terms["aux"] = aux_weight * aux / pixels
    return terms


def evaluate(
    network: nn.Module,
    images: Iterable[tuple[str, Tensor, Tensor]],
    classes: int,
    device: torch.device,
    *,
    absent: Collection[int] = (),
    inference: InferenceConfig = SINGLE_PASS,
    sink: Callable[[str, Int[Tensor, "H W"]], None] | None = None,
    autocast: torch.dtype | None = None,
    channels_last: bool = False,
) -> ConfusionMatrix:
    """Confusion matrix over `(key, image [1, 3, H, W], label [1, H, W])`, each at its own size.

    The network is left in the mode it came in. Adding up the ranks' `counts` is the caller's.

    Args:
        absent: classes that no label holds (`ConfusionMatrix`).
        sink: is given the key and the predicted classes of each image.

    Raises:
        ValueError: the network does not predict `classes` classes.
    """
    matrix = ConfusionMatrix(classes, device, absent)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    mixed = torch.autocast(device.type, dtype=autocast, enabled=autocast is not None)

    def forward(shown: Tensor) -> Output:
        with mixed:
            output: Output = network(shown.contiguous(memory_format=layout))
        if (predicted := output.logits.shape[1]) != classes:
            raise ValueError(f"the network predicts {predicted} classes, the data have {classes}")
        return output

    with _evaluating(network), _any_size(), torch.inference_mode():
        for key, image, label in images:
            image = image.to(device, memory_format=layout, non_blocking=True)
            size = (label.shape[1], label.shape[2])
            predicted = most_likely(forward, image, size, inference)
            matrix.update(predicted, label.to(device, non_blocking=True))
            if sink:
                sink(key, predicted[0])
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
