"""`step`: images per second and peak memory of a whole training step on random images.

The official formulation is measured as its authors run it, in fp32, and in bf16 with all that torch
offers without touching it: at equal precision what remains is the formulation.
"""

import argparse
import copy
import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from afdcd.bench.command import main_of
from afdcd.bench.report import (
    OFFICIAL,
    OURS,
    Report,
    conditions,
    heading,
    megabytes,
    ratio,
    seconds,
    times,
)
from afdcd.bench.timing import Timing
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.distillers.context import StepContext
from afdcd.models.zoo import SegmentationNetwork
from afdcd.text import table
from afdcd.training.trial import TrialConfig
from benchmarks.methods import ALL, CHOICES, measure_methods
from benchmarks.official import ARITHMETICS, numerics, trainer_like
from benchmarks.pairs import (
    ITERATIONS,
    OURS_TF32,
    PAPER_BATCH,
    SIDES,
    Contest,
    Measured,
    new_learner,
    our_dtype,
    random_batch,
    random_teacher,
    trial_of,
)
from benchmarks.pairs import add_arguments as add_pair_arguments
from benchmarks.profile import kernels, phases

SMALL_BATCH = 2  # what the authors gave each of eight GPUs
HEADER = (
    "side",
    "step",
    "dtype",
    "ms/step: median (shortest-longest)",
    "images/s",
    f"hours for {ITERATIONS // 1000}k x {PAPER_BATCH}",
    "peak MiB",
    f"peak MiB, {SMALL_BATCH} images",
)


@dataclass(frozen=True)
class Side:
    """One side's step: `timing` or a peak (bytes) is None where it does not fit in memory."""

    name: str
    shape: str
    dtype: str
    batch: int
    timing: Timing | None
    peak: int | None
    small_peak: int | None

    @property
    def images_per_second(self) -> float | None:
        return self.batch / self.timing.median if self.timing else None

    @property
    def hours(self) -> float | None:
        rate = self.images_per_second
        return ITERATIONS * PAPER_BATCH / rate / 3600 if rate else None

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            self.shape,
            self.dtype,
            seconds(self.timing),
            _number(self.images_per_second),
            _number(self.hours),
            megabytes(self.peak),
            megabytes(self.small_peak),
        )

    def plain(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "dtype": self.dtype,
            "seconds": self.timing.plain() if self.timing else None,
            "images_per_second": self.images_per_second,
            "hours": self.hours,
            "peak_bytes": self.peak,
            "peak_bytes_2_images": self.small_peak,
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pair_arguments(parser, crop="128 256, GPU 512 1024")
    parser.add_argument(
        "--sides",
        nargs="+",
        choices=SIDES,
        default=[OURS, OFFICIAL],
        metavar="SIDE",
        help=f"of {', '.join(SIDES)}; the first is compared with the others; default: ours official",
    )
    parser.add_argument("--pool", type=int, default=4, help="of the contrast, 0: none; default: 4")
    parser.add_argument("--patch", type=int, default=4, help="of the contrast; default: 4")
    parser.add_argument(
        "--method",
        nargs="+",
        choices=[ALL, *CHOICES],
        metavar="METHOD",
        help=f"compare our step with each of these methods instead: {ALL}, {', '.join(CHOICES)}",
    )
    parser.add_argument(
        "--profile", action="store_true", help="also the phases and the top kernels of our step"
    )


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    args.crop = args.crop or ([512, 1024] if device.type == "cuda" else [128, 256])
    if args.method:
        return measure_methods(args, device)
    if args.profile and OURS not in args.sides:
        raise UserError(f"--profile: looks into our step; add {OURS} to --sides")
    config = trial_of(args, device, pool=args.pool, patch=args.patch)
    teacher = random_teacher(config, device)
    contest = Contest(config, teacher, device)
    measured = contest.run(args.repeats, list(dict.fromkeys(args.sides)))
    small = _small_peaks(contest, measured)
    sides = [_side(side, contest, measured[side], small[side]) for side in measured]
    official = OFFICIAL in measured  # else its strict fp32 step may not fit, as with patch 16
    found = conditions(device)
    values = {
        "command": "step",
        "pair": config.pair.label,
        "pool": args.pool,
        "patch": args.patch,
        "sides": {side.name: side.plain() for side in sides},
        "against": {side.name: _against(sides[0], side) for side in sides[1:]},
        "agreement": _agreement(_eager(config), teacher, device) if official else {},
        "finite": contest.finite(),
        **found,
    }
    text = [
        heading(f"Training step of {config.pair.label}, ours and official", found),
        table(HEADER, [side.cells for side in sides]),
        *_conclusion(sides[0].name, values),
    ]
    if args.profile and measured[OURS].timing:
        values["phases"] = phases(contest)
        text += [_phase_table(values["phases"]), kernels(contest)]
    return Report("\n\n".join(text), values)


def _against(first: Side, other: Side) -> dict[str, float | None]:
    return {
        "speedup": ratio(first.images_per_second, other.images_per_second),
        "peak_memory_ratio": ratio(first.peak, other.peak),
        "peak_memory_ratio_2_images": ratio(first.small_peak, other.small_peak),
    }


def _conclusion(first: str, values: dict[str, Any]) -> list[str]:
    lines = [
        f"{first} is {times(found['speedup'])} as fast as {name} with "
        f"{times(found['peak_memory_ratio'])} the memory "
        f"({times(found['peak_memory_ratio_2_images'])} at {SMALL_BATCH} images)"
        for name, found in values["against"].items()
    ]
    if values["agreement"]:
        terms = (f"{name} {error:.1e}" for name, error in values["agreement"].items())
        lines.append(
            "relative difference of the terms of one step from the official ones in fp32, dropout off: "
            + ", ".join(terms)
        )
    if not values["finite"]:
        lines.append("WARNING: a term was not finite; from there on our step updated nothing")
    return lines


def _small_peaks(contest: Contest, measured: dict[str, Measured]) -> dict[str, int | None]:
    if contest.images == SMALL_BATCH:
        return {side: result.peak for side, result in measured.items()}
    eager = _eager(contest.config)
    small = Contest(eager, contest.teacher, contest.device, images=SMALL_BATCH)
    return {side: small.peak(side) for side in measured}


def _eager(config: TrialConfig) -> TrialConfig:
    """Compiling takes minutes, too long for one step of another size."""
    return config.updated(training=config.training.updated(compile="off"))


def _side(name: str, contest: Contest, measured: Measured, small_peak: int | None) -> Side:
    height, width = contest.config.data.crop
    return Side(
        name,
        f"{contest.images}x3x{height}x{width}",
        _dtype(name, contest),
        contest.images,
        measured.timing,
        measured.peak,
        small_peak,
    )


def _dtype(side: str, contest: Contest) -> str:
    if side == OURS:
        return our_dtype(contest.config, contest.device)
    return "float32" if side == OURS_TF32 else ARITHMETICS[side].dtype


def _agreement(
    config: TrialConfig, teacher: SegmentationNetwork, device: torch.device
) -> dict[str, float]:
    """Of each term of the first step from equal weights with equal masks, without dropout."""
    images, labels = random_batch(config, SMALL_BATCH, device)
    learner = new_learner(config, teacher, device)
    trainer = trainer_like(learner, config, copy.deepcopy(teacher), device)
    for module in (*learner.step.modules(), *trainer.student.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    learner.iterate(0, images, labels)
    ((_, ours),) = learner.drain()
    with torch.no_grad():
        height, width = trainer.teacher(images[:1]).logits.shape[-2:]
    shape = (SMALL_BATCH, 1, height, width)
    uniform = StepContext(config.training.seed, 0).uniform("mask", shape, device)
    with numerics(tf32=False):
        official = trainer.iterate(0, images, labels, uniform)
    return {name: abs(ours[name] / value - 1) for name, value in official.items()}


def _phase_table(found: dict[str, float]) -> str:
    total = sum(found.values())
    rows = [(name, f"{s * 1e3:.1f}", f"{100 * s / total:.0f}") for name, s in found.items()]
    return table(("phase of our step", "ms", "%"), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
