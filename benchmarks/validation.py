"""`validation`: images a second of a validation, decoded by loader processes and by one process alone.

A student looks at whole pictures of Cityscapes' size from a prepared set; both sides count the same.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import Report, conditions, heading, times
from afdcd.bench.timing import interleaved
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import evaluation_images
from afdcd.models.config import ModelConfig
from afdcd.tasks.metric import ConfusionMatrix
from afdcd.tasks.segmentation import evaluate
from afdcd.text import table
from benchmarks.scenes import KINDS, add_picture_arguments, write_pictures

LOADED, ALONE = "loader processes", "one process"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--head", default="deeplabv3", help="of the student; default: deeplabv3")
    parser.add_argument("--student", default="resnet18", help="its encoder; default: resnet18")
    add_picture_arguments(parser, pictures=32)
    parser.add_argument("--repeats", type=int, default=3, help="turns of each side; default: 3")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    cores = len(os.sched_getaffinity(0))
    if args.loader_workers is None:
        args.loader_workers = max(1, cores - 1)
    for option in ("pictures", "repeats", "loader_workers"):
        if getattr(args, option) < 1:
            named = option.replace("_", "-")
            raise UserError(f"--{named} {getattr(args, option)}: must be at least 1")
    kind = replace(KINDS["cityscapes"], size=tuple(args.size))
    torch.manual_seed(0)
    model = ModelConfig(head=args.head, encoder=args.student)
    student = model.build(len(DATASETS[kind.dataset].classes)).eval().to(device)
    counted: dict[str, torch.Tensor] = {}
    with tempfile.TemporaryDirectory() as folder:
        root = write_pictures(Path(folder), kind, args.pictures).root
        data = DataConfig(dataset=kind.dataset, root=root, protocol="official", crop=kind.crop)

        def turn(workers: int) -> None:
            counts = _validated(student, data.updated(loader_workers=workers), device).counts
            assert counts.equal(counted.setdefault(ALONE, counts)), "both must count the same"

        sides = {LOADED: args.loader_workers, ALONE: 0}
        calls: dict[str, Callable[[], None]] = {s: partial(turn, n) for s, n in sides.items()}
        calls[ALONE]()  # so that all files are in memory, and all code is loaded
        timings = interleaved(calls, device, repeats=args.repeats)
        feeding = {
            side: _feeding(data.updated(loader_workers=workers), device) / args.pictures
            for side, workers in sides.items()
        }
    values: dict[str, Any] = {
        "command": "validation",
        "student": model.name,
        "size": list(args.size),
        "pictures": args.pictures,
        "loader_workers": args.loader_workers,
        "cores": cores,
        "images_per_second": {side: args.pictures / t.median for side, t in timings.items()},
        "speedup": timings[ALONE].median / timings[LOADED].median,
        "feeding": feeding,
        "seconds": {side: timing.plain() for side, timing in timings.items()},
        **conditions(device),
    }
    return Report(_text(values), values)


def _validated(student: torch.nn.Module, data: DataConfig, device: torch.device) -> ConfusionMatrix:
    """As the training loop does it."""
    gpu = device.type == "cuda"
    return evaluate(
        student,
        evaluation_images(data, data.location, "train", device=device),
        len(DATASETS[data.dataset].classes),
        device,
        autocast=torch.bfloat16 if gpu else None,
        channels_last=gpu,
    )


def _feeding(data: DataConfig, device: torch.device) -> float:
    """Processor seconds that the process of the network spends on pictures: the device waits so long.

    What its loader processes spend is not in it, nor what others do on this machine.
    """
    started = time.process_time()
    for _ in evaluation_images(data, data.location, "train", device=device):
        pass
    return time.process_time() - started


def _text(values: dict[str, Any]) -> str:
    title = (
        f"Validation: {values['student']} on {values['pictures']} pictures of "
        f"{values['size'][0]}x{values['size'][1]}; {values['loader_workers']} loader processes on "
        f"{values['cores']} cores"
    )
    rows = [
        (side, f"{rate:.2f}", f"{1e3 * values['feeding'][side]:.1f}")
        for side, rate in values["images_per_second"].items()
    ]
    return "\n\n".join(
        [
            heading(title, values),
            table(
                ("decoded by", "images/s", "ms of the network's process, an image"), rows, numbers=2
            ),
            f"with loader processes {times(values['speedup'])} as fast",
        ]
    )


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
