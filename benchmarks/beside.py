"""`beside`: whether loading keeps up with training: the whole step on loaded crops and on a batch in memory.

Loader processes read, decode and augment pictures of Cityscapes' size from a prepared set.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import Report, conditions, heading
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.data.train.batch import Batch
from afdcd.data.train.loader import train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.text import table
from afdcd.training.learner import Learner
from afdcd.training.trial import TrialConfig
from benchmarks.pairs import add_arguments as add_pair_arguments
from benchmarks.pairs import new_learner, our_dtype, random_batch, random_teacher, trial_of
from benchmarks.scenes import KINDS, add_picture_arguments, write_pictures

BUFFERED = 2  # batches that torch's loader keeps for each process
MEMORY, LOADED, LOADER = "step on a batch in memory", "step on loaded crops", "loading alone"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_pair_arguments(parser, crop="128 256, GPU 512 1024")
    add_picture_arguments(parser, pictures=16)
    parser.add_argument("--steps", type=int, help="of a turn; default: 4, GPU 60")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    gpu = device.type == "cuda"
    if args.steps is None:
        args.steps = 60 if gpu else 4
    if args.loader_workers is None:
        args.loader_workers = max(1, len(os.sched_getaffinity(0)) - 1)
    steps, workers = args.steps, args.loader_workers
    for option in ("pictures", "repeats", "steps", "loader_workers"):
        if getattr(args, option) < 1:
            named = option.replace("_", "-")
            raise UserError(f"--{named} {getattr(args, option)}: must be at least 1")
    args.crop = args.crop or ([512, 1024] if gpu else [128, 256])
    with _configured(args, device, workers) as config:
        turns = _turns(config, device, steps, args.repeats)
    rates = {name: config.training.batch * steps / median(found) for name, found in turns.items()}
    found = conditions(device)
    values = {
        "command": "beside",
        "pair": config.pair.label,
        "dtype": our_dtype(config, device),
        "batch": config.training.batch,
        "crop": list(config.data.crop),
        "size": list(args.size),
        "loader_workers": workers,
        "cores": len(os.sched_getaffinity(0)),
        "steps": steps,
        "images_per_second": rates,
        "loaded_over_memory": rates[LOADED] / rates[MEMORY],
        "seconds": turns,
        **found,
    }
    return Report(_text(values), values)


@contextmanager
def _configured(
    args: argparse.Namespace, device: torch.device, workers: int
) -> Iterator[TrialConfig]:
    """The trial on a set that is written for as long as this lasts."""
    kind = replace(KINDS["cityscapes"], size=tuple(args.size), crop=tuple(args.crop))
    config = trial_of(args, device)
    with tempfile.TemporaryDirectory() as folder:
        root = write_pictures(Path(folder), kind, args.pictures).root
        data = config.data.updated(
            dataset=kind.dataset, root=root, protocol="official", loader_workers=workers
        )
        yield config.updated(data=data)


def _turns(
    config: TrialConfig, device: torch.device, steps: int, repeats: int
) -> dict[str, list[float]]:
    """Seconds of `steps` steps of each kind, in turns."""
    learner = new_learner(config, random_teacher(config, device), device)
    images, labels = random_batch(config, config.training.batch, device)
    iteration = count()

    def in_memory() -> None:
        for _ in range(steps):
            learner.iterate(next(iteration), images, labels)

    learner.iterate(next(iteration), images, labels)  # compiles, tries out algorithms
    calls: dict[str, Callable[[], float]] = {
        MEMORY: lambda: _seconds(in_memory, learner),
        LOADED: lambda: _loaded(config, learner, iteration, steps),
        LOADER: lambda: _loading(config, device, steps),
    }
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            found[name].append(call())
    return found


def _loaded(config: TrialConfig, learner: Learner, iteration: Iterator[int], steps: int) -> float:
    """As the training loop does it, once what the processes had ready is used up."""
    before = _warming(config)
    batches = _batches(config, learner.device, before + steps)
    arriving = prefetch(batches, learner.device, config.data.normalisation)

    def train(some: int) -> None:
        for images, labels in islice(arriving, some):
            learner.iterate(next(iteration), images, labels)

    train(before)
    return _seconds(lambda: train(steps), learner)


def _loading(config: TrialConfig, device: torch.device, steps: int) -> float:
    """Batches in the host's memory, that nobody takes to the device."""
    before = _warming(config)
    batches = _batches(config, device, before + steps)
    for _ in islice(batches, before):
        pass
    started = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - started


def _warming(config: TrialConfig) -> int:
    return BUFFERED * config.data.loader_workers + 2


def _batches(config: TrialConfig, device: torch.device, stop: int) -> Iterator[Batch]:
    return train_batches(
        config.data,
        config.data.location,
        seed=0,
        batch=config.training.batch,
        rank=0,
        world=1,
        start=0,
        stop=stop,
        pin=device.type == "cuda",
    )


def _seconds(call: Callable[[], None], learner: Learner) -> float:
    learner.drain()  # waits for the device
    started = time.perf_counter()
    call()
    learner.drain()
    if learner.device.type == "cuda":
        torch.cuda.synchronize()  # the last optimizer step, too
    return time.perf_counter() - started


def _text(values: dict[str, Any]) -> str:
    height, width = values["crop"]
    title = (
        f"Loading beside training: {values['pair']} in {values['dtype']}, {values['batch']} crops "
        f"of {height}x{width} from pictures of {values['size'][0]}x{values['size'][1]}; "
        f"{values['loader_workers']} loader processes on {values['cores']} cores"
    )
    rows = [(name, f"{rate:.1f}") for name, rate in values["images_per_second"].items()]
    return "\n\n".join(
        [
            heading(title, values),
            table(("what", "images/s"), rows, numbers=1),
            f"loaded crops train at {values['loaded_over_memory']:.2f} of the speed of a batch in "
            "memory (1: loading costs nothing)",
        ]
    )


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
