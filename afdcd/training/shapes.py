"""What only the two networks themselves can tell of a trial; they are built without memory."""

from functools import lru_cache

import torch
from torch import nn

from afdcd.config import UserError
from afdcd.distillers.configs import PairShapes
from afdcd.models.config import PAPER_ENCODERS, ModelConfig
from afdcd.models.outputs import Tap
from afdcd.training.trial import TrialConfig


def check_shapes(config: TrialConfig, classes: int, teacher: ModelConfig | None = None) -> None:
    """Check what only the two networks' feature maps can tell.

    Args:
        classes: of the data set.
        teacher: the teacher's network where it came with its weights.

    Raises:
        ValueError: e.g. channel groups that do not divide the teacher's channels.
        UserError: an encoder that does not exist or cannot be dilated.
    """
    _check_forward(config.pair.student, classes, config.data.crop)
    teacher = teacher or (config.pair.teacher.model if config.pair.teacher else None)
    if teacher is None:
        return
    _check_forward(teacher, classes, config.data.crop)
    shapes = pair_shapes(config.pair.student, teacher, classes)
    height, width = (-(-side // shapes.stride) for side in config.data.crop)
    config.distiller.check(shapes, (height, width))


def pair_shapes(student: ModelConfig, teacher: ModelConfig, classes: int) -> PairShapes:
    student_tap, teacher_tap = _encoder_tap(student, classes), _encoder_tap(teacher, classes)
    if student_tap.stride != teacher_tap.stride:
        raise ValueError(
            f"strides {student_tap.stride} and {teacher_tap.stride} of the pair differ"
        )
    return PairShapes(
        student_channels=student_tap.channels,
        teacher_channels=teacher_tap.channels,
        classes=classes,
        stride=student_tap.stride,
    )


@lru_cache(maxsize=64)
def _encoder_tap(model: ModelConfig, classes: int) -> Tap:
    with torch.device("meta"):
        return model.updated(pretrained=None).build(classes).taps["encoder"]


@lru_cache(maxsize=64)
def _check_forward(model: ModelConfig, classes: int, crop: tuple[int, int]) -> None:
    """Some encoders can be built, but take only some sizes or round them in their own way.

    Raises:
        UserError: no features of the expected size for the crop, or none for odd sides.
    """
    if model.encoder in PAPER_ENCODERS:
        return  # convolutions alone: any size will do
    with torch.device("meta"), torch.no_grad():
        network = model.updated(pretrained=None).build(classes).eval()
        _leave_out_batch_norm(network)
        stride = network.taps["encoder"].stride
        for height, width in (crop, (crop[0] + 9, crop[1] + 21)):
            try:
                found = network(torch.empty(1, 3, height, width)).logits.shape[-2:]
            except (RuntimeError, AssertionError, ValueError):
                found = None
            expected = (-(-height // stride), -(-width // stride))
            if found is None or (found != expected and (height, width) == crop):
                raise UserError(
                    f"encoder {model.encoder} does not take pictures of {height}x{width} pixels; "
                    "choose another, e.g. timm:resnet10t, timm:mobilenetv3_small_050"
                )


def _leave_out_batch_norm(network: nn.Module) -> None:
    """It changes no shape, and without memory it takes most of the time of a forward pass."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = nn.Identity()  # type: ignore[method-assign]
