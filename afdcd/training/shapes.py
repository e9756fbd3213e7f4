"""What only the two networks themselves can tell of a trial; they are built without memory."""

from collections.abc import Collection
from functools import lru_cache

import torch
from torch import nn

from afdcd.config import UserError
from afdcd.distillers.configs import MethodConfig, PairShapes
from afdcd.models.config import PAPER_ENCODERS, ModelConfig
from afdcd.models.taps import Tap
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
    needs = config.distiller.needs
    for side, model, wanted in (
        ("student", config.pair.student, needs.student),
        ("teacher", teacher, needs.teacher),
    ):
        _check_gives(side, model, classes, wanted, config.distiller)
    config.distiller.check(pair_shapes(config.pair.student, teacher, classes), config.data.crop)


def pair_shapes(student: ModelConfig, teacher: ModelConfig, classes: int) -> PairShapes:
    """The maps that both networks have, under their common names."""
    ours, theirs = taps_of(student, classes), taps_of(teacher, classes)
    return PairShapes({k: (tap, theirs[k]) for k, tap in ours.items() if k in theirs}, classes)


@lru_cache(maxsize=64)
def taps_of(model: ModelConfig, classes: int) -> dict[str, Tap]:
    with torch.device("meta"):
        return model.updated(pretrained=None).build(classes).taps


def _check_gives(
    side: str, model: ModelConfig, classes: int, wanted: Collection[str], method: MethodConfig
) -> None:
    """Raises ValueError where a network has not all maps that a method reads."""
    has = taps_of(model, classes)
    if missing := sorted(set(wanted) - has.keys()):
        without = "".join(
            f", or set {method.without[tap]}" for tap in missing if tap in method.without
        )
        raise ValueError(
            f"method {method.method} reads {', '.join(missing)} of the {side}, but {model.name} has "
            f"{', '.join(sorted(has))}; choose another {side} or method{without}"
        )


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
        tap = network.taps["logits"]
        for height, width in (crop, (crop[0] + 9, crop[1] + 21)):
            try:
                found = network(torch.empty(1, 3, height, width)).logits.shape[-2:]
            except (RuntimeError, AssertionError, ValueError):
                found = None
            expected = tap.grid((height, width))
            if found is None or (found != expected and (height, width) == crop):
                fit = "timm:pvt_v2_b0" if model.is_pyramid else "timm:resnet10t"
                raise UserError(
                    f"encoder {model.encoder} does not take pictures of {height}x{width} pixels; "
                    f"choose another, e.g. {fit}"
                )


def _leave_out_batch_norm(network: nn.Module) -> None:
    """It changes no shape, and without memory it takes most of the time of a forward pass."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = nn.Identity()  # type: ignore[method-assign]
