"""`table4`: what each patch size of the contrast costs a training step, beside the paper's counts.

Source: Fan et al. 2023 (Af-DCD), NeurIPS, supplement, table 4.
"""

import argparse
import sys
from dataclasses import dataclass
from typing import Any

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import (
    OFFICIAL,
    OURS,
    Report,
    conditions,
    heading,
    megabytes,
    seconds,
)
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.distillers.configs import AfDCDConfig
from afdcd.losses.patches import shrunken
from afdcd.models.zoo import SegmentationNetwork
from afdcd.text import table
from afdcd.training.peak_memory import available_bytes
from afdcd.training.shapes import pair_shapes
from afdcd.training.trial import TrialConfig
from benchmarks.pairs import (
    CLASSES,
    ITERATIONS,
    Contest,
    Measured,
    our_dtype,
    random_teacher,
    trial_of,
)
from benchmarks.pairs import add_arguments as add_pair_arguments


@dataclass(frozen=True)
class Design:
    """One line of the paper's table: `patch` None contrasts all pixels of the map with each other.

    Attributes:
        paper: the printed 10^9 operations.
    """

    name: str
    patch: int | None
    pool: int
    paper: float


DESIGNS = (
    Design("no patch", None, 0, 1.6e3),
    Design("16", 16, 0, 1.0e2),
    Design("4", 4, 0, 6.4),
    Design("2", 2, 0, 1.6),
    Design("4*", 4, 4, 6.2e-3),
)
PAPER_MAP, PAPER_GROUPS, PAPER_CHANNELS = (64, 64), 16, 2048
TILES = 128  # 8 image pixels per feature, 16 features per patch
OFFICIAL_COPIES = 6  # of all distances that the official formulation holds at its peak, about

HEADER = (
    "patch",
    "GFLOP",
    "GFLOP, paper's map",
    "paper",
    "side",
    "dtype",
    "ms/step: median (shortest-longest)",
    "peak MiB",
    f"hours for {ITERATIONS // 1000}k",
)
NOTE = """GFLOP: 3 h w n M c / 10^9 for one image of h x w pooled features in patches of n pixels,
M groups and c channels: subtraction, absolute value and addition in each channel of each
two tokens of a patch. On a 64x64 map with M 16 and c 2048 that is the paper's figure for
all but 4*, where it is {ratio:.0f} times the printed 6.2e-3, for a reason unknown to us.
"no patch" is counted, never run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pair_arguments(parser, crop="128 128, GPU 512 512 (the map of the paper's counts)")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    args.crop = args.crop or ([512, 512] if device.type == "cuda" else [128, 128])
    configs = {
        design.name: _trial(args, device, design) for design in DESIGNS if design.patch is not None
    }
    config = configs["4*"]
    teacher = random_teacher(config, device)
    lines = [_line(design, configs, teacher, device, args.repeats) for design in DESIGNS]
    found = {**conditions(device), "pair": config.pair.label, "shape": _shape(config)}
    values = {
        "command": "table4",
        "groups": args.groups,
        "rows": [{**line.plain(), **found} for line in lines],
        **found,
    }
    last = lines[-1]
    text = [
        heading(f"Step of {found['pair']} on {found['shape']}, by patch of the contrast", found),
        table(HEADER, [cells for line in lines for cells in line.cells()]),
        NOTE.format(ratio=last.paper_map_flops / 1e9 / last.design.paper),
    ]
    return Report("\n\n".join(text), values)


def distance_flops(
    feature_map: tuple[int, int], pool: int, patch: int | None, groups: int, channels: int
) -> int:
    """Operations of the L1 distances of one image: subtract, absolute value, add.

    Each pixel of the pooled map meets the n pixels of its patch, each of its `groups` tokens all
    `groups` of theirs, over channels / groups channels.
    """
    square = (patch, patch) if patch else (1, 1)
    height, width = shrunken(*feature_map, pool, square)
    pixels = patch * patch if patch else height * width
    return 3 * height * width * pixels * groups * channels


@dataclass(frozen=True)
class Line:
    """A design's operations on the measured and on the paper's map, and both sides' steps."""

    design: Design
    flops: int
    paper_map_flops: int
    dtype: str
    sides: dict[str, Measured]

    def plain(self) -> dict[str, Any]:
        return {
            "patch": self.design.name,
            "gflop": self.flops / 1e9,
            "gflop_paper_map": self.paper_map_flops / 1e9,
            "gflop_paper": self.design.paper,
            "sides": {
                side: {
                    "dtype": self._dtype(side),
                    "seconds": measured.timing.plain() if measured.timing else None,
                    "hours": _hours(measured),
                    "peak_bytes": measured.peak,
                }
                for side, measured in self.sides.items()
            },
        }

    def cells(self) -> list[tuple[str, ...]]:
        counts = (
            self.design.name,
            f"{self.flops / 1e9:.3g}",
            f"{self.paper_map_flops / 1e9:.3g}",
            f"{self.design.paper:.2g}",
        )
        if not self.sides:
            return [(*counts, *["-"] * 5)]
        return [
            (
                *(counts if side == OURS else [""] * len(counts)),
                side,
                self._dtype(side),
                seconds(measured.timing),
                megabytes(measured.peak),
                "-" if (hours := _hours(measured)) is None else f"{hours:.1f}",
            )
            for side, measured in self.sides.items()
        ]

    def _dtype(self, side: str) -> str:
        return self.dtype if side == OURS else "float32"


def _hours(measured: Measured) -> float | None:
    return ITERATIONS * measured.timing.median / 3600 if measured.timing else None


def _trial(args: argparse.Namespace, device: torch.device, design: Design) -> TrialConfig:
    config = trial_of(args, device, patch=design.patch, pool=design.pool)
    if any(side % TILES for side in config.data.crop):
        height, width = config.data.crop
        raise UserError(
            f"--crop {height} {width}: the official formulation takes only whole patches; "
            f"give multiples of {TILES}"
        )
    return config


def _line(
    design: Design,
    configs: dict[str, TrialConfig],
    teacher: SegmentationNetwork,
    device: torch.device,
    repeats: int,
) -> Line:
    config = configs.get(design.name, configs["4*"])
    feature_map, groups, channels = _features(config)
    sides: dict[str, Measured] = {}
    if design.name in configs:
        distances = distance_flops(feature_map, design.pool, design.patch, groups, channels)
        copies = 4 * OFFICIAL_COPIES * config.training.batch * distances * groups // (3 * channels)
        fits = device.type == "cuda" or copies < available_bytes()
        names = (OURS, OFFICIAL) if fits else (OURS,)
        measured = Contest(config, teacher, device).run(repeats, names)
        sides = {side: measured.get(side, Measured(None, None)) for side in (OURS, OFFICIAL)}
    return Line(
        design,
        distance_flops(feature_map, design.pool, design.patch, groups, channels),
        distance_flops(PAPER_MAP, design.pool, design.patch, PAPER_GROUPS, PAPER_CHANNELS),
        our_dtype(config, device),
        sides,
    )


def _features(config: TrialConfig) -> tuple[tuple[int, int], int, int]:
    """Rows and columns of the feature map, groups and channels of the contrast."""
    assert config.pair.teacher is not None and config.pair.teacher.model is not None
    assert isinstance(config.distiller, AfDCDConfig)
    shapes = pair_shapes(config.pair.student, config.pair.teacher.model, CLASSES)
    _, channels = shapes.channels("encoder")
    return shapes.grid("encoder", config.data.crop), config.distiller.groups, channels


def _shape(config: TrialConfig) -> str:
    height, width = config.data.crop
    return f"{config.training.batch}x3x{height}x{width}"


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
