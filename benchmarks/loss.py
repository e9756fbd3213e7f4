"""`loss`: the projector, the contrast and the whole loss, each forward and backward."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import (
    OFFICIAL,
    OURS,
    Report,
    Row,
    conditions,
    heading,
    ratio,
    rows_table,
    times,
)
from afdcd.bench.timing import interleaved
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.losses.patches import check_groups
from afdcd.training.peak_memory import peak_bytes
from benchmarks.components import Case, Part, Pass, Tensors, contrast, difference, projector, whole
from benchmarks.official import numerics

PROJECTOR, CONTRAST, PATCH16, WHOLE = "projector", "contrast 4*", "contrast 16", "whole loss"
PARTS: dict[str, Callable[[Case], Part]] = {
    PROJECTOR: projector,
    CONTRAST: partial(contrast, pool=4, patch=4),
    PATCH16: partial(contrast, pool=0, patch=16),
    WHOLE: whole,
}
LARGEST_PATCH = 16
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channels", type=int, help="of the teacher; default: 512, GPU 2048")
    parser.add_argument("--student-channels", type=int, default=512, help="default: 512")
    parser.add_argument(
        "--map", type=int, nargs=2, metavar=("H", "W"), help="features; default: 32 64, GPU 64 128"
    )
    parser.add_argument(
        "--contrast-map",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="of the contrast by itself; default: 16 32 on a CPU, where patch 16 takes seconds, else --map",
    )
    parser.add_argument("--images", type=int, nargs="+", help="per call; default: 1, GPU 2 16")
    parser.add_argument("--groups", type=int, default=16, help="of channels, M; default: 16")
    parser.add_argument("--mask-ratio", type=float, default=0.75, help="default: 0.75")
    parser.add_argument("--dtype", choices=DTYPES, help="of our side; default: fp32, GPU bf16")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side; default: 5")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    cases = [_cases(args, device, images) for images in args.images or _images(device)]
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # as in our training
    results = [[row for what in PARTS for row in _part(what, c, args.repeats)] for c in cases]
    rows = [row for result in results for row in result]
    agreement = _agreement(cases[0])
    found = conditions(device)
    summary_of = cases[-1][WHOLE].shape
    values = {
        "command": "loss",
        **_summary(results[-1]),
        "summary_of": summary_of,
        "agreement": agreement,
        "rows": [row.plain(found) for row in rows],
        **found,
    }
    text = [
        heading("Forward and backward of the distillation loss, ours and official", found),
        f"mask ratio {args.mask_ratio}, {args.groups} groups; 4*: pool 4, patch 4; 16: no pool, "
        f"patch 16; shapes are the teacher's map; up to {args.repeats} turns of each side",
        rows_table(rows),
        _conclusion(values),
    ]
    return Report("\n\n".join(text), values)


def _images(device: torch.device) -> tuple[int, ...]:
    return (2, 16) if device.type == "cuda" else (1,)


def _cases(args: argparse.Namespace, device: torch.device, images: int) -> dict[str, Case]:
    """The case of each part.

    Raises:
        UserError: sizes that the parts cannot be cut into.
    """
    gpu = device.type == "cuda"
    full = args.map or ((64, 128) if gpu else (32, 64))
    small = args.contrast_map or (full if gpu or args.map else (16, 32))
    for option, sides in {"--map": full, "--contrast-map": small}.items():
        if any(side < 1 or side % LARGEST_PATCH for side in sides):
            height, width = sides
            raise UserError(f"{option} {height} {width}: both must be multiples of {LARGEST_PATCH}")
    if not 0 <= args.mask_ratio < 1:
        raise UserError(f"--mask-ratio {args.mask_ratio}: must be at least 0 and below 1")
    if args.groups < 2:
        raise UserError(f"--groups {args.groups}: one group has no negatives; give 2 or more")
    channels = args.channels or (2048 if gpu else 512)
    try:
        check_groups(channels, args.groups)
    except ValueError as error:
        raise UserError(f"--groups: {error}") from None
    case = Case(
        images=images,
        student=args.student_channels,
        teacher=channels,
        map=tuple(full),
        groups=args.groups,
        mask_ratio=args.mask_ratio,
        device=device,
        dtype=DTYPES[args.dtype or ("bf16" if gpu else "fp32")],
    )
    contrasts = {what: replace(case, map=tuple(small)) for what in (CONTRAST, PATCH16)}
    return {what: contrasts.get(what, case) for what in PARTS}


def _part(what: str, cases: dict[str, Case], repeats: int) -> list[Row]:
    case, part = cases[what], PARTS[what](cases[what])
    calls: dict[str, Pass] = {**part.calls, OFFICIAL: _officially(part.calls[OFFICIAL])}
    peaks = {side: peak_bytes(call, case.device, settle=call) for side, call in calls.items()}
    fitting = {side: call for side, call in calls.items() if peaks[side] is not None}
    timings = interleaved(fitting, case.device, repeats=repeats)
    return [
        Row(
            what,
            side,
            case.shape,
            "float32" if side == OFFICIAL else str(case.dtype).removeprefix("torch."),
            timings.get(side),
            peaks[side],
            part.algorithms.get(side),
        )
        for side in calls
    ]


def _officially(call: Pass, *, tf32: bool = True) -> Pass:
    def run() -> Tensors:
        with numerics(tf32=tf32):
            return call()

    return run


def _agreement(cases: dict[str, Case]) -> dict[str, dict[str, float]]:
    """Largest relative difference of values and gradients: in fp32, and as measured."""
    found: dict[str, dict[str, float]] = {}
    for dtype in dict.fromkeys((torch.float32, cases[WHOLE].dtype)):
        name = str(dtype).removeprefix("torch.")
        found[name] = {
            what: _difference(
                PARTS[what](replace(cases[what], dtype=dtype)), exact=dtype == torch.float32
            )
            for what in (PROJECTOR, CONTRAST, WHOLE)
        }
    return found


def _difference(part: Part, *, exact: bool) -> float:
    """Of our sides the one that differs most; `exact`: not even TF32 rounds."""
    official = _officially(part.calls[OFFICIAL], tf32=False)()
    ours = [call for side, call in part.calls.items() if side != OFFICIAL]
    found = [_officially(call, tf32=False)() if exact else call() for call in ours]
    return max(max(difference(tensors, official).values()) for tensors in found)


def _summary(rows: Sequence[Row]) -> dict[str, Any]:
    """The headline figures of one case: official over ours in time, ours over official in memory."""
    by = {(row.what, row.side): row for row in rows}

    def speedup(what: str) -> float | None:
        return ratio(_median(by[what, OFFICIAL]), _median(by[what, OURS]))

    return {
        "projector_speedup": speedup(PROJECTOR),
        "projector_algorithm": by[PROJECTOR, OURS].algorithm,
        "contrast_speedup": speedup(CONTRAST),
        "loss_speedup": speedup(WHOLE),
        "peak_memory_ratio": ratio(by[WHOLE, OURS].peak, by[WHOLE, OFFICIAL].peak),
        "contrast_patch16": {
            "speedup": speedup(PATCH16),
            **{
                side: {
                    "time_over_4*": ratio(_median(by[PATCH16, side]), _median(by[CONTRAST, side])),
                    "memory_over_4*": ratio(by[PATCH16, side].peak, by[CONTRAST, side].peak),
                }
                for side in (OURS, OFFICIAL)
            },
        },
    }


def _median(row: Row) -> float | None:
    return row.timing.median if row.timing else None


def _conclusion(values: dict[str, Any]) -> str:
    patch16 = values["contrast_patch16"][OURS]
    lines = [
        f"at {values['summary_of']}, as fast as official: "
        f"projector ({values['projector_algorithm']}) {times(values['projector_speedup'])}, "
        f"contrast {times(values['contrast_speedup'])}, "
        f"whole loss {times(values['loss_speedup'])} with {times(values['peak_memory_ratio'])} "
        "the memory",
        f"our patch 16 takes {times(patch16['time_over_4*'])} the time and "
        f"{times(patch16['memory_over_4*'])} the memory of 4*",
    ]
    for dtype, parts in values["agreement"].items():
        listed = ", ".join(f"{what} {error:.1e}" for what, error in parts.items())
        lines.append(
            f"ours in {dtype} against official in float32, largest relative difference of values "
            f"and gradients: {listed}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
