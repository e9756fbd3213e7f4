"""How far a loss moves with the size of the problem, on features of the same distribution.

    python -m tests.distillers.portability

prints the tables of docs/methods.md (minutes on one core). Teacher: ReLU of unit
Gaussians, as after the last stage of a ResNet. Student: `scale` times the ReLU of Gaussians that
correlate with the teacher's.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.configs import AfDCDConfig
from afdcd.distillers.portable import official
from afdcd.models.outputs import Output
from tests.distillers.pairs import STEP, pair_of

STRIDE = 8
CORNERS = tuple(itertools.product((256, 1024), (256, 2048), (4, 32)))  # crop, channels, groups
PUBLISHED = AfDCDConfig(preset="cityscapes-deeplabv3-mobilenetv2")
PORTABLE = AfDCDConfig(weights="portable")
SMALL = tuple(itertools.product((256, 512), (256, 2048), (4, 32)))


@dataclass(frozen=True)
class Student:
    correlation: float
    scale: float


STUDENTS = {"early": Student(0.3, 0.1), "middle": Student(0.6, 0.5), "late": Student(0.9, 0.8)}


@dataclass(frozen=True)
class Measured:
    """A weighted term, and its gradient: root mean square over elements, times their number."""

    value: float
    gradient: float


def measure(
    config: AfDCDConfig, student: Student, crop: tuple[int, int], channels: int
) -> dict[str, Measured]:
    """The FD and contrast terms on one image, the student's map standing for the rebuilt one."""
    pair = pair_of(channels, channels, classes=2, stride=STRIDE)
    with torch.device("meta"):
        distiller = config.updated(kd_weight=0.0, mask="centre").build(pair)
    distiller.reconstruct = AsItIs()
    teacher, rebuilt = _maps(student, channels, crop[0] // STRIDE, crop[1] // STRIDE)
    rebuilt = rebuilt.detach().requires_grad_()
    labels = torch.zeros(1, *crop, dtype=torch.int64)
    terms = distiller(_output(rebuilt), _output(teacher), labels, STEP)
    found = {}
    for name, term in terms.items():
        (gradient,) = torch.autograd.grad(term, rebuilt)
        size = gradient.square().mean().sqrt().item() * gradient.numel()
        found[name] = Measured(term.item(), size)
    return found


def over_the_corners(
    config: AfDCDConfig, student: Student, corners: Iterable[tuple[int, int, int]] = CORNERS
) -> dict[str, list[Measured]]:
    found: dict[str, list[Measured]] = {}
    for crop, channels, groups in corners:
        sized = config.updated(groups=groups)
        for name, term in measure(sized, student, (crop, crop), channels).items():
            found.setdefault(name, []).append(term)
    return found


class AsItIs(nn.Module):
    def forward(self, feature: Tensor, uniform: Tensor | None) -> Tensor:
        return feature


@lru_cache(maxsize=1)
def _maps(
    student: Student, channels: int, height: int, width: int
) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
    generator = torch.Generator().manual_seed(0)
    latent, other = (torch.randn(1, channels, height, width, generator=generator) for _ in range(2))
    mixed = student.correlation * latent + math.sqrt(1 - student.correlation**2) * other
    return latent.relu(), student.scale * mixed.relu()


def _output(feature: Tensor) -> Output:
    return Output(feature[:, :2], None, {"encoder": feature})


def _main() -> None:
    torch.set_num_threads(1)
    reference = pair_of(320, 2048, classes=19, stride=STRIDE)
    configs = {
        "official, as published": PUBLISHED,
        "official, equal to portable at 64x128x2048": official(PORTABLE, reference, (64, 128)),
        "portable": PORTABLE,
    }
    print("| weights | student | term | value | moves | gradient | moves |")
    print("|---|---|---|---|---|---|---|")
    for (title, config), (name, student) in itertools.product(configs.items(), STUDENTS.items()):
        there = measure(config, student, (512, 1024), 2048)
        for term, corners in over_the_corners(config, student).items():
            at = there[term]
            value, gradient = (
                _times([c.value for c in corners]),
                _times([c.gradient for c in corners]),
            )
            print(
                f"| {title} | {name} | {term} | {at.value:.3g} | {value} | {at.gradient:.3g} "
                f"| {gradient} |",
                flush=True,
            )
    print("\n| tau | " + " | ".join(STUDENTS) + " |\n|---|---|---|---|")
    for tau in (0.003, 0.03, 0.1, 0.3, 0.5, 1.0, 1.25, 1.5, 2.0, 4.0):
        sized = PORTABLE.updated(tau=tau, fd_weight=0.0)
        moves = [
            _times([c.value for c in over_the_corners(sized, student, SMALL)["contrast"]])
            for student in STUDENTS.values()
        ]
        print(f"| {tau} | {' | '.join(moves)} |", flush=True)


def _times(values: list[float]) -> str:
    smallest = min(values)
    return f"x{max(values) / smallest:.3g}" if smallest > 1e-9 else "to 0"


if __name__ == "__main__":
    _main()
