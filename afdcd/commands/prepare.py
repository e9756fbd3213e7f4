"""Prepare a data set, or show one."""

import argparse
import os
import posixpath
import re
import sys
import time
from collections.abc import Iterable, Sequence

from tqdm import tqdm

from afdcd.config import Source, UserError, validate
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import COCO_STUFF_EDITIONS, DATASETS, dataset_named
from afdcd.data.own.choices import Choices, words
from afdcd.data.own.draft import write_draft
from afdcd.data.own.layout import find, own_set
from afdcd.data.own.spoilt import NONE
from afdcd.data.pairs import Layout
from afdcd.data.prepare.build import BuildOptions, LostSplitError, build
from afdcd.data.prepare.part import Mapper, Part, Progress, Receipt, in_turn
from afdcd.data.prepare.report import Report
from afdcd.data.raw import FINDERS
from afdcd.data.shards.manifest import OwnData, is_prepared
from afdcd.data.show.summary import show, summary
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.data.train.config import NAME
from afdcd.environment import ray_address
from afdcd.output import going_on_unread
from afdcd.text import printable

_SECONDS_BETWEEN_LINES = 20.0
_SMALL = 128 * 2**20  # bytes that one process has judged before Ray has started


def execute(arguments: argparse.Namespace) -> int:
    """Prepare or show; the exit status."""
    if arguments.command == "show":
        print(show(arguments.root, arguments.out))
        return 0
    with going_on_unread():
        if arguments.command == "synthetic":
            _prepare_synthetic(arguments)
        elif arguments.command == "custom":
            _prepare_custom(arguments)
        else:
            _prepare_raw(arguments)
    return 0


def _prepare_synthetic(arguments: argparse.Namespace) -> None:
    if is_prepared(arguments.out):
        raise UserError(f"{arguments.out}: holds a prepared data set; remove it or choose another")
    names = SyntheticConfig.model_fields
    source = Source("prepare synthetic")
    config = validate(SyntheticConfig, {name: getattr(arguments, name) for name in names}, source)
    with _Shown() as progress:
        manifest = prepare_synthetic(arguments.out, config, progress)
    print(summary(arguments.out, manifest))


def _prepare_custom(arguments: argparse.Namespace) -> None:
    choices = _choices(arguments)
    if arguments.draft:
        tree, found = find(choices)
        draft, sheet, gist = write_draft(arguments.draft, tree.root, found)
        print(f"{tree.root}: {found.form}: {gist}")
        todo = "rename, merge, reorder or ignore" if found.said.names else "complete the names"
        print(f"{draft}: {todo}, then give it as --classes; {sheet} shows each value")
        return
    if not arguments.out:
        raise UserError("prepare custom: give --out, the folder or URI to write to")
    options = _options(arguments)  # a wrong one is told before folders are read
    _build_own(arguments.out, choices, *options)
    networks = "--student pspnet/resnet18 --teacher deeplabv3/resnet101"
    print(f"next: afdcd init --data {arguments.out} {networks}")


def _build_own(root: str, choices: Choices, options: BuildOptions, mapper: Mapper) -> None:
    """Where a split that was drawn loses all its pictures, as none can be read, others are drawn."""
    made, spoilt = own_set(choices), NONE
    while True:
        try:
            _build(root, made.dataset, made.layout, options, mapper, made.own)
            return
        except LostSplitError as lost:
            if not lost.splits <= made.drawn:
                raise
            spoilt = spoilt.and_all_of(lost.splits, made.layout.pairs, lost.offences)
            try:
                made = own_set(choices, spoilt)
            except UserError:  # too few are left
                raise lost from None


def _choices(arguments: argparse.Namespace) -> Choices:
    name = arguments.name or posixpath.basename((arguments.out or "").rstrip("/").partition("?")[0])
    if arguments.out and (not re.fullmatch(NAME, name) or name in DATASETS):
        taken = (
            "the catalog has a data set of that name"
            if name in DATASETS
            else "letters, digits, `_`, `-`, `.` only"
        )
        raise UserError(f"{name!r} cannot name a data set: {taken}; give another --name")
    return Choices(
        source=arguments.source,
        name=name,
        classes=arguments.classes,
        ignore=words(arguments.ignore),
        background=arguments.background,
        split_by=arguments.split_by,
        mask_suffix=arguments.mask_suffix,
        columns=_columns(arguments.columns),
        unlabelled=arguments.unlabelled,
    )


def _columns(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    pictures, comma, labels = text.partition(",")
    if not (pictures and comma and labels):
        raise UserError(f"--columns {text}: expected two names, e.g. image,label")
    return pictures.strip(), labels.strip()


def _prepare_raw(arguments: argparse.Namespace) -> None:
    name = COCO_STUFF_EDITIONS[arguments.classes] if "classes" in arguments else arguments.command
    dataset = dataset_named(name)
    options = _options(arguments)  # a wrong one is told before folders are read
    _build(arguments.out, dataset, FINDERS[name](arguments.source, dataset), *options)


def _build(
    root: str,
    dataset: Dataset,
    layout: Layout,
    options: BuildOptions,
    mapper: Mapper,
    own: OwnData | None = None,
) -> None:
    print(f"{printable(layout.folder)}: {layout.name}, {len(layout.pairs)} pairs")
    with _Shown() as progress:
        manifest, report = build(root, dataset, layout, options, progress, mapper, own)
    _warn(report)
    print(summary(root, manifest))


def _options(arguments: argparse.Namespace) -> tuple[BuildOptions, Mapper]:
    names = BuildOptions.model_fields
    source = Source(f"prepare {arguments.command}")
    options = validate(BuildOptions, {name: getattr(arguments, name) for name in names}, source)
    return options, _mapper(arguments.workers)


def _warn(report: Report) -> None:
    for line in (*report.warnings, *report.remarks):
        print(f"warning: {printable(report.folder)}: {line}", file=sys.stderr)
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
    """In this process, or by Ray where there is more to share than Ray takes to start."""
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    several = workers or (ray_address() and 2) or os.cpu_count() or 1

    def mapper(root: str, parts: Sequence[Part], progress: Progress) -> Iterable[Receipt]:
        small = workers is None and sum(sum(part.sizes) for part in parts) < _SMALL
        if len(parts) < 2 or several < 2 or small:
            return in_turn(root, parts, progress)
        # Here, so that one process needs no Ray, which takes seconds to import.
        from afdcd.search.ray_prepare import on_ray

        return on_ray(workers)(root, parts, progress)

    return mapper
