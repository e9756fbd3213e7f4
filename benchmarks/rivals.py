"""`rivals`: the terms of the rival methods, forward and backward, ours and as their official code has them.

Both sides compute in fp32, from equal maps, in turns. Sizes are the published ones on a GPU: a head of 128
and of 256 channels on 64x128 places; on a CPU a quarter of the places.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from afdcd.bench.command import main_of
from afdcd.bench.report import OFFICIAL, OURS, Report, conditions, heading, megabytes, times
from afdcd.bench.timing import Call, interleaved
from afdcd.cli import run
from afdcd.losses.affinity import affinity_kl, among_images
from afdcd.losses.channel_kl import channel_kl
from afdcd.losses.pairwise import pair_wise
from afdcd.losses.receptive import masked_error, masks
from afdcd.losses.units import unit
from afdcd.losses.variation import class_likeness
from afdcd.text import table
from afdcd.training.peak_memory import peak_bytes
from tests.reference import rivals as official

CLASSES, TOKENS, TAU, TEMPERATURE = 19, 8, 0.1, 4.0
COLUMNS = 4104  # of the queue that a step of CIRKD sees
HEADER = (
    "term",
    "ours ms",
    "official ms",
    "times as fast",
    "ours MiB",
    "official MiB",
    "difference",
)


@dataclass(frozen=True)
class Maps:
    """Of two images, as rectifiers leave them; the student's take gradients."""

    student: Tensor
    teacher: Tensor
    logits: tuple[Tensor, Tensor]
    labels: Tensor
    queue: Tensor
    tokens: Tensor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--map", type=int, nargs=2, metavar=("H", "W"), help="default: 32 64, GPU 64 128"
    )
    parser.add_argument(
        "--images", type=int, default=2, help="default: 2, as one published process"
    )
    parser.add_argument("--student-channels", type=int, default=128, help="default: 128")
    parser.add_argument("--channels", type=int, default=256, help="of the teacher; default: 256")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side; default: 5")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    size = tuple(args.map or ((64, 128) if device.type == "cuda" else (32, 64)))
    given = maps(args.images, (args.student_channels, args.channels), size, device)
    found = conditions(device)
    rows = [_row(name, *sides, args.repeats, device) for name, sides in terms(given).items()]
    text = [heading(f"Rival terms of {args.images}x{size[0]}x{size[1]} places, fp32", found)]
    text.append(table(HEADER, [_cells(row) for row in rows]))
    return Report("\n\n".join(text), {"command": "rivals", "rows": rows, **found})


def maps(
    images: int, channels: tuple[int, int], size: tuple[int, ...], device: torch.device
) -> Maps:
    generator = torch.Generator(device).manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    ours, theirs = (drawn(images, width, *size).relu() for width in channels)
    logits = drawn(images, CLASSES, *size), drawn(images, CLASSES, *size)
    labels = drawn(images, *size).mul(2).long().abs() % CLASSES
    queue = F.normalize(drawn(COLUMNS, channels[1]), dim=1)
    student, ours_logits = ours.requires_grad_(), logits[0].requires_grad_()
    tokens = drawn(TOKENS, CLASSES)
    return Maps(student, theirs, (ours_logits, logits[1]), labels, queue, tokens)


def terms(given: Maps) -> dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor], Tensor]]:
    """Our call, the official one, and what both give the gradient of."""
    s, t, (logits, shown) = given.student, given.teacher, given.logits
    pairs = [(i, j, 1 / len(s) ** 2) for i in range(len(s)) for j in range(len(s))]
    wide = torch.cat([s] * (t.shape[1] // s.shape[1]), 1).detach().requires_grad_()

    def variation() -> Tensor:
        ours, theirs = (class_likeness(x, given.labels, CLASSES) for x in (s, t))
        return (ours - theirs).square().mean()

    def minibatch() -> Tensor:
        return among_images(unit(s).flatten(2), unit(t).flatten(2), pairs, TAU)

    def memory() -> Tensor:
        rows = [unit(x).flatten(2).mT.flatten(0, 1) for x in (wide, t)]
        weights = rows[0].new_full((len(rows[0]),), 1 / len(rows[0]))
        return affinity_kl((rows[0], given.queue), (rows[1], given.queue), weights, TAU)

    def remembered() -> Tensor:
        ours, theirs = (F.normalize(x, dim=1) for x in (wide, t))
        return official.official_memory(ours, theirs, given.queue, TAU)

    def masked() -> Tensor:
        return masked_error(logits, shown, masks(given.tokens, shown))

    channels, by_softmax = channel_kl, official.official_channels
    return {
        "skd pair": (partial(pair_wise, s, t), partial(official.official_pair, s, t), s),
        "ifvd": (
            variation,
            partial(official.official_variation, s, t, given.labels, CLASSES),
            s,
        ),
        "cwd features": (
            partial(channels, wide, t, TEMPERATURE),
            partial(by_softmax, wide, t, TEMPERATURE),
            wide,
        ),
        "cwd logits": (
            partial(channels, logits, shown, TEMPERATURE),
            partial(by_softmax, logits, shown, TEMPERATURE),
            logits,
        ),
        "cirkd mini-batch": (minibatch, partial(official.official_minibatch, s, t, TAU), s),
        "cirkd memory": (memory, remembered, wide),
        "maskd": (
            masked,
            partial(official.official_masked, logits, shown, given.tokens),
            logits,
        ),
    }


def _row(
    name: str,
    ours: Callable[[], Tensor],
    theirs: Callable[[], Tensor],
    wanted: Tensor,
    repeats: int,
    device: torch.device,
) -> dict[str, Any]:
    calls: dict[str, Call] = {OURS: _pass(ours, wanted), OFFICIAL: _pass(theirs, wanted)}
    peaks = {side: peak_bytes(call, device) for side, call in calls.items()}
    timings = interleaved(calls, device, repeats=repeats)
    values = ours().item(), theirs().item()
    return {
        "term": name,
        "ours": timings[OURS].plain(),
        "official": timings[OFFICIAL].plain(),
        "speedup": timings[OFFICIAL].median / timings[OURS].median,
        "peak_bytes": peaks,
        "difference": abs(values[0] / values[1] - 1),
    }


def _pass(term: Callable[[], Tensor], wanted: Tensor) -> Call:
    return lambda: torch.autograd.grad(term(), wanted)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["term"],
        f"{1e3 * row['ours']['median']:.1f}",
        f"{1e3 * row['official']['median']:.1f}",
        times(row["speedup"]),
        megabytes(row["peak_bytes"][OURS]),
        megabytes(row["peak_bytes"][OFFICIAL]),
        f"{row['difference']:.1e}",
    )


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
