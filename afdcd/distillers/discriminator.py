"""The second player of SKD's holistic term, which IFVD and CWD take over: whose logits are these?

Source: Liu et al. 2019, CVPR, sec. 3.3; layers and hinge loss as winycg/CIRKD@2d8ad0f `utils/sagan.py`
and `losses/adv.py`. Differs in that its gradient is averaged over ranks and its batch norm sees the
images of all of them (there each rank's discriminator drifts away from the others'), and in that
logits smaller than 64x64 are resized, which end it there.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.base import Adversary, Targets
from afdcd.distillers.configs.adversarial import SMALLEST, Recipe
from afdcd.distillers.context import StepContext
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.losses.precision import no_autocast
from afdcd.models.outputs import Output

WIDTH = 64
LR, BETAS = 4e-4, (0.9, 0.99)
MOMENTUM, DECAY = 0.9, 5e-4  # of SKD's own code, which has SGD


class Discriminator(Adversary):
    """Strided convolutions with self-attention, in fp32 and always in training mode.

    Each call does one power iteration and follows its batch norm's statistics, as in the original.
    """

    def __init__(
        self, classes: int, weight: float, width: int = WIDTH, *, recipe: Recipe = "adam"
    ) -> None:
        super().__init__()
        self.weight, self.recipe = weight, recipe
        self.layers = nn.Sequential(
            GlobalBatchNorm2d(classes),
            *_halving(classes, width),
            *_halving(width, 2 * width),
            *_halving(2 * width, 4 * width),
            SelfAttention(4 * width),
            *_halving(4 * width, 8 * width),
            SelfAttention(8 * width),
            nn.Conv2d(8 * width, 1, 4),
        )

    @property
    def normalise(self) -> GlobalBatchNorm2d:
        """Its first layer."""
        first = self.layers[0]
        assert isinstance(first, GlobalBatchNorm2d)  # for mypy
        return first

    def judged(self, logits: Float[Tensor, "b k h w"]) -> Float[Tensor, "b 1 y x"]:
        """Higher for the teacher's."""
        self.train()
        with no_autocast(logits):
            judged: Tensor = self.layers(self.shown(logits))
            return judged

    def shown(self, logits: Float[Tensor, "b k h w"]) -> Float[Tensor, "b k Y X"]:
        """What its layers see: full precision, and no map smaller than they take."""
        logits = logits.to(next(self.parameters()).dtype)
        size = tuple(max(side, SMALLEST) for side in logits.shape[2:])
        if size == logits.shape[2:]:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        of_student, of_teacher = self.judged(student.logits), self.judged(teacher.logits)
        hinge = F.relu(1 - of_teacher).mean() + F.relu(1 + of_student).mean()
        return {"hinge": self.weight * hinge}

    @property
    def scheduled(self) -> bool:
        return self.recipe.endswith("-scheduled")

    def optimizer(self) -> torch.optim.Optimizer:
        if self.recipe == "sgd-scheduled":
            return torch.optim.SGD(
                self.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY, fused=True
            )
        return torch.optim.Adam(self.parameters(), lr=LR, betas=BETAS, fused=True)


class SpectralConv2d(nn.Module):
    """4x4 convolution at stride 2 whose weight, as a matrix, has the largest singular value 1.

    That value is followed by one power iteration a call: v, then u. torch's own takes them the other
    way round.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, 4)
        self.weight, self.bias = plain.weight, plain.bias
        self.u: Tensor
        self.v: Tensor
        self.register_buffer("u", _length_one(torch.randn(outputs)))
        self.register_buffer("v", _length_one(torch.randn(inputs * 16)))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d y x"]:
        matrix = self.weight.flatten(1)
        with torch.no_grad():
            v = _length_one(matrix.T @ self.u)
            u = _length_one(matrix @ v)
            self.u.copy_(u)
            self.v.copy_(v)
        # Of this call's u and v, whatever later calls make of them.
        return F.conv2d(x, self.weight / (u @ matrix @ v), self.bias, stride=2, padding=1)


class SelfAttention(nn.Module):
    """Each position adds what it finds at others like it; at first nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv2d(channels, channels // 8, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        attention = (query.mT @ key).softmax(dim=2)
        return self.gamma * (value @ attention.mT).view_as(x) + x


def _halving(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return SpectralConv2d(inputs, outputs), nn.LeakyReLU(0.1)


def _length_one(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return x / (x.norm() + 1e-12)
