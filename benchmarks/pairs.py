"""A training step on random images: the pair, our learner and the official trainer for it."""

import argparse
import copy
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from afdcd.bench.report import OFFICIAL, OURS
from afdcd.bench.timing import Call, Timing, interleaved
from afdcd.config import Source, UserError, validate
from afdcd.models.zoo import SegmentationNetwork
from afdcd.training.build_learner import build_learner
from afdcd.training.gradient import autocast_dtype
from afdcd.training.learner import Learner
from afdcd.training.peak_memory import peak_bytes
from afdcd.training.shapes import check_shapes
from afdcd.training.trial import TrialConfig
from benchmarks.official import ARITHMETICS, OfficialTrainer, numerics, trainer_like

CLASSES = 19  # Cityscapes
ITERATIONS = 40_000  # the schedule of the paper, and what hours are counted for
PAPER_BATCH = 16
OURS_TF32 = f"{OURS}-tf32"  # fp32, whose products are rounded as the official convolutions are
SIDES = (OURS, OURS_TF32, *ARITHMETICS)


def add_arguments(parser: argparse.ArgumentParser, crop: str) -> None:
    parser.add_argument("--teacher", help="encoder; default: timm:resnet10t, GPU resnet101")
    parser.add_argument("--student", help="encoder; default: timm:lcnet_050, GPU resnet18")
    parser.add_argument("--head", default="deeplabv3", help="default: deeplabv3")
    parser.add_argument("--crop", type=int, nargs=2, metavar=("H", "W"), help=f"default: {crop}")
    parser.add_argument("--batch", type=int, help="images per step; default: 2, GPU 16")
    parser.add_argument("--groups", type=int, default=16, help="of channels, M; default: 16")
    parser.add_argument(
        "--precision", default="auto", help="of our side: fp32, bf16; default: bf16 on a GPU"
    )
    parser.add_argument(
        "--compile", default="auto", help="our student's forward pass: on, off; default: as trained"
    )
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side; default: 5")


def trial_of(args: argparse.Namespace, device: torch.device, **distiller: Any) -> TrialConfig:
    """The run that the arguments describe, with Af-DCD's defaults but for `distiller`.

    Raises:
        UserError: no such encoder, or a contrast that does not fit the feature map.
    """
    gpu = device.type == "cuda"
    teacher = args.teacher or ("resnet101" if gpu else "timm:resnet10t")
    values = {
        "data": {"dataset": "synthetic", "root": "random images", "crop": list(args.crop)},
        "pair": {
            "student": {
                "head": args.head,
                "encoder": args.student or ("resnet18" if gpu else "timm:lcnet_050"),
            },
            "teacher": {"model": {"head": args.head, "encoder": teacher}, "train": {}},
        },
        "distiller": {"method": "afdcd", "groups": args.groups, **distiller},
        "training": {
            "iterations": ITERATIONS,
            "compile": args.compile,
            "batch": args.batch or (PAPER_BATCH if gpu else 2),
            "precision": args.precision,
        },
    }
    return checked_trial(values, CLASSES)


def checked_trial(values: dict[str, Any], classes: int) -> TrialConfig:
    """The trial of plain values that a command line gave.

    Raises:
        UserError: no such encoder, or a contrast that does not fit the feature map.
    """
    config = validate(TrialConfig, values, Source("command line"))
    try:
        check_shapes(config, classes)
    except ValueError as error:
        raise UserError(f"command line: {error}") from None
    return config


def random_teacher(config: TrialConfig, device: torch.device) -> SegmentationNetwork:
    """The teacher with random weights, on the CPU, and with the batch statistics of random images.

    Without these its features would double with each block, up to where fp32 ends.
    """
    assert config.pair.teacher is not None and config.pair.teacher.model is not None
    torch.manual_seed(0)
    teacher = config.pair.teacher.model.build(CLASSES).to(device).train()
    norms = [module for module in teacher.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        teacher(torch.randn(2, 3, 128, 128, device=device))
    return teacher.cpu().eval().requires_grad_(False)


def random_batch(config: TrialConfig, images: int, device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator(device).manual_seed(0)
    height, width = config.data.crop
    pictures = torch.randn(images, 3, height, width, generator=generator, device=device)
    shape = (images, height, width)
    return pictures, torch.randint(CLASSES, shape, generator=generator, device=device)


@dataclass(frozen=True)
class Measured:
    """One side's step: `timing`, or `peak` in bytes, is None where it does not fit in memory."""

    timing: Timing | None
    peak: int | None


class Contest:
    """Sides (`SIDES`) at one batch size, from equal weights; one that does not fit has no call.

    A config that compiles nothing compiles no official side either.
    """

    def __init__(
        self,
        config: TrialConfig,
        teacher: SegmentationNetwork,
        device: torch.device,
        images: int | None = None,
    ) -> None:
        self.config, self.device = config, device
        self.teacher = teacher
        self.images = images or config.training.batch
        self._learners: dict[str, Learner] = {}
        self._official_terms: dict[str, float] = {}
        self._batch = random_batch(config, self.images, device)
        self._count = itertools.count()
        self._calls: dict[str, Call] = {}

    def peak(self, side: str) -> int | None:
        """Bytes of networks, momenta and one step on the batch; builds the side.

        The first step is not counted: it tries out algorithms.
        """

        def settle() -> None:
            build = self._official if side in ARITHMETICS else self._ours
            self._calls[side] = build(side)
            self._calls[side]()

        found = peak_bytes(lambda: self._calls[side](), self.device, settle=settle)
        if found is None:
            self._calls.pop(side, None)
        elif self.device.type == "cpu" and self._compiles(side):
            self._calls[side]()  # what counts tensors on a CPU keeps torch from compiling
        return found

    def run(self, repeats: int, sides: Sequence[str] = (OURS, OFFICIAL)) -> dict[str, Measured]:
        """Peaks of `sides` one after the other, then their times in turns."""
        peaks = {side: self.peak(side) for side in sides}
        inner = 5 if self.device.type == "cuda" else 1
        timings = interleaved(self._calls, self.device, repeats=repeats, inner=inner)
        return {side: Measured(timings.get(side), peaks.get(side)) for side in sides}

    def finite(self) -> bool:
        """Whether all terms of our sides' steps so far are, and the official sides' last ones.

        A step of ours with a term that is not finite updates nothing.
        """
        drained = [terms for learner in self._learners.values() for _, terms in learner.drain()]
        return all(
            isfinite(v) for terms in (*drained, self._official_terms) for v in terms.values()
        )

    @property
    def learner(self) -> Learner | None:
        """Our side once it has been built."""
        return self._learners.get(OURS)

    def call(self, side: str) -> Call:
        """One step; the side has been built and fits."""
        return self._calls[side]

    def _compiles(self, side: str) -> bool:
        """On a CPU; on a GPU "auto" compiles our side, too."""
        official = side in ARITHMETICS and ARITHMETICS[side].compiled
        chosen = self.config.training.compile
        return (official and chosen != "off") or (side not in ARITHMETICS and chosen == "on")

    def _ours(self, side: str) -> Call:
        tf32, config = side == OURS_TF32, self.config
        if tf32:
            config = config.updated(training=config.training.updated(precision="fp32"))
        learner = self._learners[side] = new_learner(config, self.teacher, self.device)

        def step() -> None:
            with _products("high" if tf32 else torch.get_float32_matmul_precision()):
                learner.iterate(next(self._count), *self._batch)

        return step

    def _official(self, side: str) -> Call:
        arithmetic = replace(ARITHMETICS[side], compiled=self._compiles(side))
        trainer = new_trainer(self.config, self.teacher, self.device)
        arithmetic.apply(trainer)
        images, labels = self._batch
        if arithmetic.bf16:
            images = images.contiguous(memory_format=torch.channels_last)

        def step() -> None:
            with numerics(search=arithmetic.bf16):
                terms = trainer.iterate(next(self._count), images, labels)
            self._official_terms |= {f"{side} {name}": value for name, value in terms.items()}

        return step


@contextmanager
def _products(precision: str) -> Iterator[None]:
    """How fp32 matrices are multiplied: "high" is TF32, as cuDNN's convolutions by default."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def new_learner(config: TrialConfig, teacher: SegmentationNetwork, device: torch.device) -> Learner:
    return build_learner(config, CLASSES, copy.deepcopy(teacher), device)


def new_trainer(
    config: TrialConfig, teacher: SegmentationNetwork, device: torch.device
) -> OfficialTrainer:
    """From the weights of a new learner."""
    learner = new_learner(config, teacher, device)
    return trainer_like(learner, config, copy.deepcopy(teacher), device)


def our_dtype(config: TrialConfig, device: torch.device) -> str:
    """In which our side multiplies."""
    dtype = autocast_dtype(config.training, device) or torch.float32
    return str(dtype).removeprefix("torch.")
