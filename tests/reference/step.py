"""A training step as OSVAI/Af-DCD@5b086a7 `train_ocmgd.py` runs it on one device: fp32, plain SGD.

What a user may turn on without touching that code can be turned on here, too: autocast and compiling.

Axes: b images, h w rows and columns of the feature map, H W of the label map.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from tests.reference.contrast import official_contrast
from tests.reference.projector import OfficialReconstruction, feature_distance, random_mask


@dataclass(frozen=True)
class Recipe:
    """The authors' flags and constants, with their defaults."""

    kd_weight: float = 1.0
    fd_weight: float = 4e-5
    contrast_weight: float = 1e-3
    aux_weight: float = 0.4
    tau: float = 0.07
    groups: int = 16
    patch: tuple[int, int] = (4, 4)
    pool: int = 4
    mask_ratio: float = 0.75
    lr: float = 0.02
    power: float = 0.9
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 15.0
    iterations: int = 40_000
    ignore: int = 255


class OfficialLoss(nn.Module):
    """KD, masked reconstruction and contrast of two network outputs, weighted."""

    def __init__(self, reconstruction: OfficialReconstruction, recipe: Recipe) -> None:
        super().__init__()
        self.reconstruct, self.recipe = reconstruction, recipe

    def forward(
        self, student: Any, teacher: Any, uniform: Float[Tensor, "b 1 h w"] | None = None
    ) -> dict[str, Float[Tensor, ""]]:
        """`student` and `teacher` have `logits` and `features["encoder"]`."""
        recipe = self.recipe
        feature, target = student.features["encoder"], teacher.features["encoder"]
        if uniform is None:  # the authors draw on the host
            uniform = torch.rand(len(feature), 1, *feature.shape[2:]).to(feature.device)
        rebuilt = self.reconstruct(feature, random_mask(uniform, recipe.mask_ratio))
        contrast = official_contrast(
            rebuilt,
            target,
            groups=recipe.groups,
            patch=recipe.patch,
            pool=recipe.pool,
            temperature=recipe.tau,
        )
        return {
            "kd": recipe.kd_weight * _pixel_kl(student.logits, teacher.logits),
            "fd": recipe.fd_weight * feature_distance(rebuilt, target),
            "contrast": recipe.contrast_weight * contrast,
        }


class OfficialTrainer:
    """Student, teacher, loss and optimizer; the two networks return `Output`.

    Attributes:
        autocast: type of the forward pass where torch's autocast allows it; the authors': None.
        compute: from images to the loss terms; `torch.compile` may take its place.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, loss: OfficialLoss) -> None:
        self.student, self.teacher, self.loss = student.train(), teacher.eval(), loss
        self.autocast: torch.dtype | None = None
        self.compute: Callable[..., dict[str, Tensor]] = self._terms
        recipe = loss.recipe
        self.optimizer = torch.optim.SGD(
            [*student.parameters(), *loss.parameters()],
            lr=recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )

    def iterate(
        self,
        iteration: int,
        images: Float[Tensor, "b 3 H W"],
        labels: Int[Tensor, "b H W"],
        uniform: Float[Tensor, "b 1 h w"] | None = None,
    ) -> dict[str, float]:
        """One optimizer step; the terms as numbers, each fetched by itself, as the authors log."""
        recipe = self.loss.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * (1 - iteration / recipe.iterations) ** recipe.power
        dtype = self.autocast
        with torch.autocast(images.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
            terms = self.compute(images, labels, uniform)
        self.optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.loss.parameters(), recipe.clip)
        self.optimizer.step()
        return {name: term.item() for name, term in terms.items()}

    def _terms(self, images: Tensor, labels: Tensor, uniform: Tensor | None) -> dict[str, Tensor]:
        recipe = self.loss.recipe
        with torch.no_grad():
            target = self.teacher(images)
        output = self.student(images)
        terms = {"task": _cross_entropy(output.logits, labels, recipe.ignore)}
        if output.aux is not None:
            aux = _cross_entropy(output.aux, labels, recipe.ignore)
            terms["aux"] = recipe.aux_weight * aux
        return terms | self.loss(output, target, uniform)


def _cross_entropy(logits: Tensor, labels: Tensor, ignore: int) -> Tensor:
    size = labels.shape[1:]
    upsampled = F.interpolate(logits, size=size, mode="bilinear", align_corners=True)
    return F.cross_entropy(upsampled, labels, ignore_index=ignore)


def _pixel_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over pixels, sum over classes; the authors' temperature is 1."""
    log_p, q = F.log_softmax(student, dim=1), F.softmax(teacher, dim=1)
    return F.kl_div(log_p, q, reduction="none").sum(dim=1).mean()
