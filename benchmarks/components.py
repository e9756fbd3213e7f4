"""The parts of the distillation loss as calls: forward and backward, ours and official.

Axes: b images, s and t channels of student and teacher, k classes, h w of the feature map.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn

from afdcd.bench.report import OFFICIAL, OURS
from afdcd.distillers.algorithm import ALGORITHMS, Algorithm
from afdcd.distillers.configs import AfDCDConfig, PairShapes
from afdcd.distillers.configs.reconstruction import ReconstructionConfig
from afdcd.distillers.configs.shapes import ENCODER
from afdcd.distillers.context import StepContext
from afdcd.distillers.projector import MaskedReconstruction
from afdcd.losses.contrast import omni_contrast, shrink
from afdcd.models.outputs import Output
from afdcd.models.taps import Tap
from benchmarks.official import (
    OfficialReconstruction,
    Recipe,
    loss_like,
    official_contrast,
    random_mask,
)

Tensors = dict[str, Tensor]
Pass = Callable[[], Tensors]  # values and gradients by name, equal names on both sides

CLASSES = 19


@dataclass(frozen=True)
class Part:
    """A part's calls by side, of which `OURS` is as trained and `OFFICIAL` the authors' way.

    Attributes:
        algorithms: what our sides chose or were told, where there is a choice.
    """

    calls: dict[str, Pass]
    algorithms: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """The sizes of one comparison; `dtype` is that of our side, the official one is fp32."""

    images: int
    student: int
    teacher: int
    map: tuple[int, int]
    groups: int
    mask_ratio: float
    device: torch.device
    dtype: torch.dtype

    @property
    def pair(self) -> PairShapes:
        return PairShapes({ENCODER: (Tap(self.student, 8), Tap(self.teacher, 8))}, CLASSES)

    @property
    def shape(self) -> str:
        return f"{self.images}x{self.teacher}x{self.map[0]}x{self.map[1]}"

    def random(self, channels: int, seed: int) -> Tensor:
        """b x channels x h x w as a rectifier leaves it: half of it zeros."""
        generator = torch.Generator(self.device).manual_seed(seed)
        shape = (self.images, channels, *self.map)
        return torch.randn(shape, generator=generator, device=self.device).relu()

    def uniform(self) -> Tensor:
        """b x 1 x h x w draws of the mask."""
        generator = torch.Generator(self.device).manual_seed(0)
        shape = (self.images, 1, *self.map)
        return torch.rand(shape, generator=generator, device=self.device)

    def as_trained(self, x: Tensor) -> Tensor:
        """As our networks give it: in our type and, on a GPU, with channels last."""
        layout = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        return x.to(self.dtype).contiguous(memory_format=layout)

    def autocast(self) -> torch.autocast:
        enabled = self.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=enabled)


@dataclass(frozen=True)
class _Drawn(StepContext):
    """A step that draws what the official side draws."""

    drawn: Tensor | None = None

    def uniform(self, name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        assert self.drawn is not None
        return self.drawn


def projector(case: Case) -> Part:
    """Align, mask and plain projector: by the algorithm that ours chooses, and by each it has."""
    torch.manual_seed(0)
    ours = MaskedReconstruction(ReconstructionConfig(mask_ratio=case.mask_ratio), case.pair)
    official = OfficialReconstruction(case.student, case.teacher)
    official.load_state_dict(dict(ours.named_parameters()))
    ours.choose = lambda case, measure: measure()  # what a study takes, without its record
    _place(ours, case)
    official.to(case.device)
    uniform, cotangent = case.uniform(), case.random(case.teacher, seed=1) / case.teacher
    feature = case.as_trained(case.random(case.student, seed=0)).requires_grad_()
    feature32 = feature.detach().float().contiguous().requires_grad_()
    mask = random_mask(uniform, case.mask_ratio)

    def our_pass(algorithm: Algorithm) -> Tensors:
        ours.algorithm = algorithm
        with case.autocast():
            rebuilt = ours(feature, uniform)
        return _backward({"value": rebuilt}, feature, ours, cotangent)

    def official_pass() -> Tensors:
        return _backward({"value": official(feature32, mask)}, feature32, official, cotangent)

    our_pass("auto")
    algorithms = {OURS: ours.algorithm} | {f"{OURS}, {name}": name for name in _tried(case)}
    calls: dict[str, Pass] = {side: partial(our_pass, name) for side, name in algorithms.items()}
    return Part({**calls, OFFICIAL: official_pass}, dict(algorithms))


def _tried(case: Case) -> tuple[Algorithm, ...]:
    """The algorithms worth a look: on CPU, Winograd's cost more than they save."""
    return ALGORITHMS[1:] if case.device.type == "cuda" else ALGORITHMS[1:3]


def contrast(case: Case, *, pool: int, patch: int) -> Part:
    """From the rebuilt map to the contrast."""
    settings = AfDCDConfig(groups=case.groups, pool=pool, patch=patch)
    square, tau = settings.patch_of(*case.map), settings.tau
    rebuilt = case.as_trained(case.random(case.teacher, seed=0)).requires_grad_()
    target = case.as_trained(case.random(case.teacher, seed=1))
    rebuilt32 = rebuilt.detach().float().contiguous().requires_grad_()
    target32 = target.float().contiguous()

    def our_pass() -> Tensors:
        with case.autocast():
            value = omni_contrast(
                shrink(rebuilt, pool, square),
                shrink(target, pool, square),
                groups=case.groups,
                patch=square,
                temperature=tau,
                negatives="other_groups",
            )
        return _backward({"value": value}, rebuilt)

    def official_pass() -> Tensors:
        value = official_contrast(
            rebuilt32, target32, groups=case.groups, patch=square, pool=pool, temperature=tau
        )
        return _backward({"value": value}, rebuilt32)

    return Part({OURS: our_pass, OFFICIAL: official_pass})


def whole(case: Case) -> Part:
    """All terms of Af-DCD with the authors' default weights."""
    config = AfDCDConfig(groups=case.groups, mask_ratio=case.mask_ratio)
    torch.manual_seed(0)
    ours = config.build(case.pair)
    recipe = Recipe(groups=case.groups, mask_ratio=case.mask_ratio)
    official = loss_like(ours, recipe).to(case.device)
    _place(ours, case)
    uniform = case.uniform()
    student = _output(case, case.student, seed=0)
    teacher = _output(case, case.teacher, seed=1)
    feature = student.features[ENCODER].requires_grad_()
    student32, teacher32 = _plain(student), _plain(teacher)
    feature32 = student32.features[ENCODER].requires_grad_()
    labels = torch.zeros(case.images, 1, 1, dtype=torch.int64, device=case.device)

    def our_pass() -> Tensors:
        with case.autocast():
            terms = ours(student, teacher, labels, _Drawn(seed=0, iteration=0, drawn=uniform))
        return _backward(terms, feature, ours)

    def official_pass() -> Tensors:
        return _backward(official(student32, teacher32, uniform), feature32, official)

    return Part({OURS: our_pass, OFFICIAL: official_pass})


def difference(ours: Tensors, official: Tensors) -> dict[str, float]:
    """Largest difference of each tensor, relative to the official one's largest entry."""
    return {
        name: float((ours[name].float() - theirs).abs().max() / theirs.abs().max())
        for name, theirs in official.items()
    }


def _backward(
    values: Tensors, feature: Tensor, module: nn.Module | None = None, grad: Tensor | None = None
) -> Tensors:
    """`values`, and the gradients of their sum in the feature and in the module's parameters."""
    parameters = dict(module.named_parameters()) if module is not None else {}
    terms = list(values.values())
    total = terms[0] if len(terms) == 1 else torch.stack(terms).sum()
    cotangent = None if grad is None else grad.to(total.dtype)
    grads = torch.autograd.grad(total, [feature, *parameters.values()], cotangent)
    names = ("feature", *parameters)
    named = {f"gradient of {name}": grad for name, grad in zip(names, grads, strict=True)}
    return {name: value.detach() for name, value in values.items()} | named


def _output(case: Case, channels: int, seed: int) -> Output:
    logits = case.as_trained(case.random(CLASSES, seed + 2))
    return Output(logits, None, {ENCODER: case.as_trained(case.random(channels, seed))})


def _plain(output: Output) -> Output:
    """The same numbers in fp32 and in torch's own layout."""
    feature = output.features[ENCODER].detach().float().contiguous()
    return Output(output.logits.float().contiguous(), None, {ENCODER: feature})


def _place(module: nn.Module, case: Case) -> None:
    layout = torch.channels_last if case.device.type == "cuda" else torch.contiguous_format
    module.to(device=case.device, memory_format=layout)  # type: ignore[call-overload]
