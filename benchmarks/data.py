"""`data`: images a second of one core, ours, the official loader's and torchvision's; and memory."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import OFFICIAL, OURS, Report, conditions, device_name, times
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.text import table
from benchmarks.footprint import footprint, footprint_text
from benchmarks.loaders import BATCH, official, ours, ours_normalised, phases, torchvision
from benchmarks.scenes import KINDS, Kind, write_pictures

NORMALISED, TORCHVISION = "ours, normalised", "torchvision"
SIDES = {
    OURS: ours,
    NORMALISED: ours_normalised,
    OFFICIAL: official,
    TORCHVISION: torchvision,
}
WANTED = 120  # images a second: what a GPU of the H200's class trains on


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--pictures", type=int, default=8, help="of each kind; default: 8")
    parser.add_argument("--images", type=int, default=16, help="a turn loads; default: 16")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side; default: 5")
    parser.add_argument(
        "--memory", action="store_true", help="measure the memory of a large set instead"
    )
    parser.add_argument("--rows", type=int, default=118_287, help="of that set; default: COCO's")
    parser.add_argument("--shards", type=int, default=300, help="of that set; default: 300")
    parser.add_argument("--batches", type=int, default=500, help="of 8 rows; default: 500")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    for option in ("pictures", "images", "repeats", "rows", "shards", "batches"):
        if getattr(args, option) < 1:
            raise UserError(f"--{option} {getattr(args, option)}: must be at least 1")
    if args.memory:
        found = footprint(args.rows, args.shards, args.batches)
        return Report(footprint_text(found), {"command": "data", **found})
    if args.images % BATCH:
        raise UserError(f"--images {args.images}: must be a multiple of {BATCH}")
    with _one_thread():
        kinds = {name: _kind(KINDS[name], args) for name in args.kinds}
        found = conditions(torch.device("cpu"))
    values = {"command": "data", "kinds": kinds, **found}
    return Report("\n\n".join(_text(name, kind) for name, kind in kinds.items()), values)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # OpenCV is told by afdcd.data.train.transforms
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _kind(kind: Kind, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        pictures = write_pictures(Path(folder), kind, args.pictures)
        loaders = {side: make(kind, pictures) for side, make in SIDES.items()}
        calls = {side: _turn(batches, args.images) for side, batches in loaders.items()}
        for call in calls.values():
            call()  # so that all files are in memory, and all code is loaded
        timings = _in_turns(calls, args.repeats)
        spent = phases(kind, pictures, args.images)
    seconds = {side: [s / args.images for s in turns] for side, turns in timings.items()}
    rates = {side: 1 / median(turns) for side, turns in seconds.items()}
    return {
        "size": list(kind.size),
        "crop": list(kind.crop),
        "image_bytes": pictures.image_bytes,
        "images_per_second_per_core": rates,
        "speedup_official": rates[OURS] / rates[OFFICIAL],
        "speedup_torchvision": rates[OURS] / rates[TORCHVISION],
        f"cores_for_{WANTED}_images_per_second": {s: WANTED / rate for s, rate in rates.items()},
        "phases": spent,
        "seconds_per_image": seconds,
    }


def _turn(batches: Iterator[Any], images: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(images // BATCH):
            next(batches)

    return run


def _in_turns(calls: Mapping[str, Callable[[], None]], repeats: int) -> dict[str, list[float]]:
    """Seconds that each call occupies a core, A B A B ...: what others do there does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    return seconds


def _text(name: str, found: Mapping[str, Any]) -> str:
    rates, seconds = found["images_per_second_per_core"], found["seconds_per_image"]
    cores = found[f"cores_for_{WANTED}_images_per_second"]
    rows = []
    for side in SIDES:
        middle, low, high = (1e3 * of(seconds[side]) for of in (median, min, max))
        spread = f"{middle:.1f} ({low:.1f}-{high:.1f})"
        rows.append((side, f"{rates[side]:.1f}", spread, f"{cores[side]:.1f}"))
    height, width = found["size"]
    header = ("side", "images/s/core", "ms: median (shortest-longest)", f"cores for {WANTED}/s")
    spent = ", ".join(f"{phase} {1e3 * s:.2f}" for phase, s in found["phases"].items())
    return "\n".join(
        [
            f"{name}: {height}x{width}, {found['image_bytes'] / 1e6:.2f} MB an image, crop "
            f"{found['crop'][0]}x{found['crop'][1]}, one thread of {device_name(torch.device('cpu'))}",
            table(header, rows),
            f"ours in ms an image: {spent}",
            f"ours as fast as official {times(found['speedup_official'])}, "
            f"as torchvision {times(found['speedup_torchvision'])}",
        ]
    )


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
