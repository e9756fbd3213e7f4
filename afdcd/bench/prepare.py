"""`prepare`: raw pairs of Cityscapes' and COCO's size to shards, images per second and peak memory."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdcd.bench.preparing import label_of
from afdcd.bench.report import Report, conditions, heading
from afdcd.config import UserError
from afdcd.data.images import encode_jpeg, encode_png
from afdcd.data.synthetic.dataset import render
from afdcd.paths import expanded
from afdcd.text import table

if TYPE_CHECKING:
    import torch

_SCENES = 4  # rendering takes seconds at this size: files beyond are these again, by other names
_TIMES = (1, 2, 4)  # memory must not follow the number of images


@dataclass(frozen=True)
class Kind:
    """One sort of raw data set; `height` and `width` in pixels."""

    name: str
    height: int
    width: int
    suffix: str


KINDS = {
    "large": Kind("1024x2048 PNG", 1024, 2048, "png"),
    "small": Kind("480x640 JPEG", 480, 640, "jpg"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--large", type=int, default=32, help="PNG pairs, 1024x2048; default: 32")
    parser.add_argument("--small", type=int, default=800, help="JPEG pairs, 480x640; default: 800")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument(
        "--folder", type=expanded, help="where the pairs are written; default: temporary files"
    )


def measure(args: argparse.Namespace, device: "torch.device") -> Report:
    """Raises UserError: nothing to measure."""
    counts = {name: getattr(args, name) for name in KINDS}
    if min(*counts.values(), *args.workers) < 1:
        raise UserError("--large, --small and --workers must be at least 1")
    runs = [run for name, kind in KINDS.items() for run in _runs(args, kind, counts[name])]
    found = conditions(device)
    found["memory"] = "resident set of a worker process at its most, and before it began"
    growth = {}
    for kind in KINDS.values():
        peaks = [run["peak_bytes"] for run in runs if run["kind"] == kind.name]
        growth[kind.name] = max(peaks) / min(peaks)
    values = {"command": "prepare", "runs": runs, "peak_growth": growth, **found}
    listed = ", ".join(f"{name} {ratio:.2f}x" for name, ratio in growth.items())
    text = [
        heading("Preparing raw pairs: decoding, judging, encoding labels, writing shards", found),
        table(
            ("pairs", "workers", "images", "images/s", "MB/s", "peak MiB", "before"),
            [_cells(run) for run in runs],
        ),
        f"largest peak over smallest, up to {_TIMES[-1]}x the images: {listed}",
    ]
    return Report("\n\n".join(text), values)


def _cells(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        run["kind"],
        str(run["workers"]),
        str(run["images"]),
        f"{run['images_per_second']:.1f}",
        f"{run['megabytes_per_second']:.1f}",
        f"{run['peak_bytes'] / 2**20:.0f}",
        f"{run['idle_bytes'] / 2**20:.0f}",
    )


def _runs(args: argparse.Namespace, kind: Kind, count: int) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        raw = Path(folder) / "raw"
        _write_raw(raw, kind, 1 + count * _TIMES[-1])
        for workers in args.workers:
            for times in _TIMES:
                sizes = [str(raw), str(count * times), str(workers)]
                command = [sys.executable, "-m", "afdcd.bench.preparing", *sizes]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                yield {"kind": kind.name, "workers": workers, **json.loads(done.stdout)}


def _write_raw(folder: Path, kind: Kind, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        image = f"{number:06d}.{kind.suffix}"
        if number < _SCENES:
            picture, ids = render(0, number * 6, kind.height, kind.width)
            png = kind.suffix == "png"
            (folder / image).write_bytes(encode_png(picture) if png else encode_jpeg(picture, 95))
            (folder / label_of(image)).write_bytes(encode_png(ids))
        else:
            scene = f"{number % _SCENES:06d}.{kind.suffix}"
            (folder / image).hardlink_to(folder / scene)
            (folder / label_of(image)).hardlink_to(folder / label_of(scene))
