"""Methods that ask more of the contract than those of today; the arena's rivals will be of their kinds.

The adversarial one follows winycg/CIRKD@2d8ad0f `losses/adv.py` and `models/discriminator.py` (SKD: Liu et
al. 2019, CVPR, sec. 3.3) at a width that a test can afford; the queue stands for CIRKD's.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from afdcd.distillers.base import Adversary, Distiller, Targets
from afdcd.distillers.configs import MethodConfig, Needs, PairShapes
from afdcd.distillers.context import StepContext
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.losses.kd import pixel_kl
from afdcd.models.outputs import Output

Terms = dict[str, Tensor]


class HolisticConfig(MethodConfig):
    """SKD's logits KD and holistic term."""

    method: Literal["holistic"] = "holistic"

    @property
    def needs(self) -> Needs:
        return Needs.of_both("logits")

    def build(self, pair: PairShapes) -> "Holistic":
        return Holistic(pair.classes)


class Holistic(Distiller):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.adversary: Discriminator = Discriminator(classes)

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        kl = pixel_kl(student.logits, teacher.logits, 1.0)
        return {"kd": kl, "holistic": -0.1 * self.adversary.judged(student.logits).mean()}


class SelfAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query, self.key = (nn.Conv2d(channels, channels // 2, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (part(x).flatten(2) for part in (self.query, self.key, self.value))
        attention = torch.softmax(query.transpose(1, 2) @ key, dim=2)
        return self.gamma * (value @ attention.transpose(1, 2)).view_as(x) + x


class Discriminator(Adversary):
    """Batch norm, spectrally normed convolutions, self-attention; always in training mode, in fp32."""

    def __init__(self, classes: int, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            GlobalBatchNorm2d(classes),
            spectral_norm(nn.Conv2d(classes, width, 4, 2, 1)),
            nn.LeakyReLU(0.1),
            spectral_norm(nn.Conv2d(width, 2 * width, 4, 2, 1)),
            nn.LeakyReLU(0.1),
            SelfAttention(2 * width),
            nn.Conv2d(2 * width, 1, 2),
        )

    def judged(self, logits: Tensor) -> Tensor:
        with torch.autocast(logits.device.type, enabled=False):
            return self.layers(logits.to(self.layers[-1].weight.dtype))

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        of_student, of_teacher = self.judged(student.logits), self.judged(teacher.logits)
        return {"hinge": 0.1 * (F.relu(1 - of_teacher).mean() + F.relu(1 + of_student).mean())}

    def optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=4e-4, betas=(0.9, 0.99), fused=True)


class QueueConfig(MethodConfig):
    """The student's pooled feature among a queue of those that the teacher had of earlier images."""

    couples_images: ClassVar[bool] = True
    method: Literal["queue"] = "queue"

    @property
    def needs(self) -> Needs:
        return Needs.of_both("encoder")

    def build(self, pair: PairShapes) -> "Queue":
        return Queue(*pair.channels("encoder"))


class Queue(Distiller):
    SLOTS, COMPARED = 12, 5

    def __init__(self, student: int, teacher: int) -> None:
        super().__init__()
        self.project = nn.Linear(student, teacher)
        self.register_buffer("slots", F.normalize(torch.randn(self.SLOTS, teacher), dim=1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        with torch.autocast(self.slots.device.type, enabled=False):
            return {"queue": self._term(student, teacher, step)}

    def _term(self, student: Output, teacher: Output, step: StepContext) -> Tensor:
        kind = self.project.weight.dtype
        seen, shown = (x.features["encoder"].to(kind).mean((2, 3)) for x in (student, teacher))
        ours, theirs = F.normalize(self.project(seen), dim=1), F.normalize(shown, dim=1)
        everyone = step.gather(ours), step.gather(theirs)
        chosen = torch.randperm(self.SLOTS, generator=step.generator("queue"))[: self.COMPARED]
        beside = self.slots[chosen.to(ours.device)]
        self._enqueue(everyone[1].detach())
        # Every image is compared with those of the whole batch and with what the queue held.
        likeness = everyone[0] @ torch.cat([everyone[1].detach(), beside]).T / 0.1
        own = torch.arange(len(likeness), device=likeness.device)
        images = step.total(torch.tensor(float(len(ours)), device=ours.device))
        return F.cross_entropy(likeness, own, reduction="sum") / images

    @torch.no_grad()
    def _enqueue(self, vectors: Tensor) -> None:
        places = (self.position + torch.arange(len(vectors), device=vectors.device)) % self.SLOTS
        self.slots.index_copy_(0, places, vectors)
        self.position.add_(len(vectors)).remainder_(self.SLOTS)
