"""Prepare a data set: judge every raw file, write Parquet shards and a manifest; or show one.

examples:
  python -m afdcd.prepare synthetic --out data/synthetic
  python -m afdcd.prepare camvid --source raw/CamVid --out s3://bucket/camvid --jpeg-quality 95
  python -m afdcd.prepare show data/synthetic --out pictures

Unusable files are reported and left out. A run that was stopped goes on where it was when the same
command is given again. Shards are written in parallel: on the Ray cluster in RAY_ADDRESS (so under
`ray job submit`), else on this machine's CPUs.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from afdcd.cli import run
from afdcd.config import Source, UserError, validate
from afdcd.data.catalog.datasets import DATASETS, dataset_named
from afdcd.data.prepare.build import BuildOptions, build
from afdcd.data.prepare.part import Mapper, Part, Progress, Receipt, in_turn
from afdcd.data.prepare.report import Report
from afdcd.data.raw import FINDERS
from afdcd.data.shards.manifest import is_prepared
from afdcd.data.show.summary import show, summary
from afdcd.data.synthetic.dataset import SyntheticConfig, prepare_synthetic
from afdcd.environment import ray_address

_COCO = "coco_stuff"
_COCO_CLASSES = {len(DATASETS[n].classes): n for n in FINDERS if n.startswith(_COCO)}
_SECONDS_BETWEEN_LINES = 20.0


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.command == "show":
        print(show(arguments.root, arguments.out))
    elif arguments.command == "synthetic":
        _prepare_synthetic(arguments)
    else:
        _prepare_raw(arguments)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m afdcd.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in sorted(FINDERS.keys() - {_COCO_CLASSES[172], _COCO_CLASSES[182]}):
        raw = commands.add_parser(name, help=f"{name} from its published folders")
        _add_raw_arguments(raw)
        if name == _COCO:
            raw.add_argument(
                "--classes",
                type=int,
                choices=_COCO_CLASSES,
                default=171,
                help="172: unlabeled pixels are a class; 182: raw numbers, of which 11 never occur",
            )
    synthetic = commands.add_parser("synthetic", help="rendered street scenes, no download")
    synthetic.add_argument("--out", required=True, help="folder or URI to write to")
    for name, info in SyntheticConfig.model_fields.items():
        synthetic.add_argument(
            f"--{name}", type=int, default=info.default, metavar="N", help="default %(default)s"
        )
    shown = commands.add_parser("show", help="figures, checksums, and two pictures")
    shown.add_argument("root", help="folder or URI of a prepared data set")
    shown.add_argument("--out", default=".", help="folder or URI for the pictures; default here")
    return parser


def _add_raw_arguments(raw: argparse.ArgumentParser) -> None:
    raw.add_argument("--source", required=True, type=Path, help="folder as downloaded")
    raw.add_argument("--out", required=True, help="folder or URI to write to")
    raw.add_argument("--jpeg-quality", type=int, metavar="N", help="re-encode images, 4:4:4")
    raw.add_argument("--max-side", type=int, metavar="N", help="scale down to N pixels at most")
    raw.add_argument("--shards", type=int, metavar="N", help="per split; default 64 MiB each")
    raw.add_argument(
        "--strict", action="store_true", help="refuse unusable files and another number of images"
    )
    raw.add_argument(
        "--workers", type=int, metavar="N", help="default: all CPUs; 1: this process, without Ray"
    )


def _prepare_synthetic(arguments: argparse.Namespace) -> None:
    if is_prepared(arguments.out):
        raise UserError(f"{arguments.out}: holds a prepared data set; remove it or choose another")
    names = SyntheticConfig.model_fields
    source = Source("prepare synthetic")
    config = validate(SyntheticConfig, {name: getattr(arguments, name) for name in names}, source)
    with _Shown() as progress:
        manifest = prepare_synthetic(arguments.out, config, progress)
    print(summary(arguments.out, manifest))


def _prepare_raw(arguments: argparse.Namespace) -> None:
    names = BuildOptions.model_fields
    source = Source(f"prepare {arguments.command}")
    options = validate(BuildOptions, {name: getattr(arguments, name) for name in names}, source)
    mapper = _mapper(arguments.workers)
    name = _COCO_CLASSES[arguments.classes] if "classes" in arguments else arguments.command
    dataset = dataset_named(name)
    layout = FINDERS[name](arguments.source, dataset)
    print(f"{layout.folder}: {layout.name}, {len(layout.pairs)} pairs")
    with _Shown() as progress:
        manifest, report = build(arguments.out, dataset, layout, options, progress, mapper)
    _warn(report)
    print(summary(arguments.out, manifest))


def _warn(report: Report) -> None:
    for line in (*report.warnings, *report.remarks):
        print(f"warning: {report.folder}: {line}", file=sys.stderr)
    if report.offences:
        print(f"warning: {len(report.offences)} unusable files are left out:", file=sys.stderr)
    for line in report.brief():
        print(f"warning: {line}", file=sys.stderr)


class _Shown:
    """How far it is, on stderr: a bar on a terminal, elsewhere a line now and then."""

    def __enter__(self) -> "_Shown":
        self._start = self._said = time.monotonic()
        self._total = self._kept = self._done = self._size = 0
        self._bar: tqdm | None = None
        return self

    def begin(self, images: int, kept: int) -> None:
        self._start, self._total, self._kept = time.monotonic(), images, kept
        if sys.stderr.isatty():
            self._bar = tqdm(total=images, initial=kept, unit=" images", file=sys.stderr)

    def __call__(self, images: int, size: int) -> None:
        self._done += images
        self._size += size
        if self._bar is not None:
            self._bar.set_postfix_str(self._speed().partition(", ")[2], refresh=False)
            self._bar.update(images)
        elif time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            seconds = self._said - self._start
            left = seconds / self._done * (self._total - self._kept - self._done)
            done = f"{self._kept + self._done} of {self._total} images"
            print(f"{done}, {self._speed()}, {left:.0f} s left", file=sys.stderr, flush=True)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind not in (None, KeyboardInterrupt):
            return  # the error is what there is to say
        kept = f", {self._kept} kept from an earlier run" if self._kept else ""
        print(f"{self._done} images, {self._speed()}{kept}", file=sys.stderr)
        if kind is KeyboardInterrupt:
            print("finished shards are kept; the same command goes on", file=sys.stderr)

    def _speed(self) -> str:
        seconds = max(time.monotonic() - self._start, 1e-9)
        return f"{self._done / seconds:.1f} images/s, {self._size / seconds / 1e6:.1f} MB/s"


def _mapper(workers: int | None) -> Mapper:
    """In this process, or by Ray where there is more than one shard and CPU to share."""
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    several = workers or (ray_address() and 2) or os.cpu_count() or 1

    def mapper(root: str, parts: Sequence[Part], progress: Progress) -> Iterable[Receipt]:
        if len(parts) < 2 or several < 2:
            return in_turn(root, parts, progress)
        # Here, so that one process needs no Ray, which takes seconds to import.
        from afdcd.search.ray_prepare import on_ray

        return on_ray(workers)(root, parts, progress)

    return mapper


if __name__ == "__main__":
    sys.exit(run(main))
