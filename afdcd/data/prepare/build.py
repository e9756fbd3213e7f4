"""From a raw folder to a prepared data set: judge all files, write shards, then the manifest."""

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import cv2
import numpy as np
import PIL
import pyarrow as pa
from pydantic import Field, JsonValue

import afdcd
from afdcd import storage
from afdcd.config import FrozenConfig, Switch, UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.expected import count_warnings, share_warnings
from afdcd.data.catalog.labels import Drawing, Encoding
from afdcd.data.catalog.splits import ALL_SPLITS, SPLITS, Split
from afdcd.data.pairs import Layout, Pair
from afdcd.data.places import stamp
from afdcd.data.prepare.faults import class_warnings, dev_warnings, empty, repeated, unlisted
from afdcd.data.prepare.part import (
    RECEIPTS,
    Mapper,
    Part,
    Progress,
    Receipt,
    Silent,
    in_turn,
    write_parts,
)
from afdcd.data.prepare.report import Report
from afdcd.data.prepare.storing import Storing
from afdcd.data.shards.manifest import (
    Manifest,
    OwnData,
    is_prepared,
    read_manifest,
    write_index,
    write_manifest,
)
from afdcd.data.shards.parquet import check_sizes, join_index

_SHARD_BYTES = 64 * 2**20
_LEFT_BEHIND = re.compile(
    rf"({'|'.join(ALL_SPLITS)})-\d{{5}}-of-\d{{5}}\.parquet|\..*\.[0-9a-f]{{32}}\.tmp"
)


class LostSplitError(UserError):
    """No file of a split can be used.

    Attributes:
        splits: those that are lost.
        offences: why, a line for each file.
    """

    def __init__(self, text: str, splits: Sequence[Split], offences: Sequence[str]) -> None:
        super().__init__(text)
        self.splits = frozenset(splits)
        self.offences = tuple(offences)


class BuildOptions(FrozenConfig):
    """Choices of the person who prepares.

    Attributes:
        jpeg_quality: re-encode images as JPEG 4:4:4; None keeps the bytes as shipped.
        max_side: longest side in pixels of image and label; larger ones are scaled down.
        shards: per split; None aims at 64 MiB of raw images each.
        strict: refuse where a file is unusable or the number of images is not the published one.
    """

    jpeg_quality: int | None = Field(default=None, ge=1, le=100)
    max_side: int | None = Field(default=None, ge=16)
    shards: int | None = Field(default=None, ge=1, le=99_999)
    strict: Switch = False

    @property
    def storing(self) -> Storing:
        return Storing(self.jpeg_quality, self.max_side)

    def recorded(self) -> dict[str, JsonValue]:
        """What decides the shards: `strict` only decides whether there are any."""
        return {name: value for name, value in self.plain().items() if name != "strict"}


def build(
    root: str,
    dataset: Dataset,
    layout: Layout,
    options: BuildOptions,
    progress: Progress | None = None,
    mapper: Mapper = in_turn,
    own: OwnData | None = None,
) -> tuple[Manifest, Report]:
    """Write `layout` to `root`, going on where an earlier run with equal arguments was stopped.

    Equal files, options and versions give equal bytes, whatever the mapper and the interruptions.
    Unusable pairs are left out and reported.

    Args:
        own: of a data set that is in no catalog.

    Raises:
        UserError: `root` holds a data set; train or val has no pair, or a split loses all it has; a
            key is listed twice; with `strict` any unusable file or a wrong count. No manifest is
            written then, so nothing can be read as complete.
    """
    if is_prepared(root):
        return _finished(root, dataset, layout, options, own)
    counts = count_warnings(dataset, (pair.split for pair in layout.pairs))
    faults = repeated(layout.pairs) + empty(layout) + (counts if options.strict else [])
    if faults:
        raise UserError("\n".join(f"{layout.folder}: {fault}" for fault in faults))
    parts = plan(dataset, layout, options)
    receipts = write_parts(root, parts, mapper, progress or Silent())
    pixels = _pixels(dataset, receipts)
    rows = {s: sum(r.shard.rows for r in receipts if r.shard.split == s) for s in ALL_SPLITS}
    report = Report(
        root=root,
        folder=layout.folder,
        images=len(layout.pairs),
        offences=(*layout.refused, *(o for receipt in receipts for o in receipt.offences)),
        remarks=_remarks(receipts),
        warnings=(
            *counts,
            *layout.warnings,
            *unlisted(layout),
            *share_warnings(dataset, pixels, rows),
            *(class_warnings(dataset, pixels) if own else dev_warnings(dataset, layout)),
        ),
    )
    report.write()
    _refuse(report, receipts, options)
    manifest = Manifest(
        dataset=dataset.name,
        classes=dataset.classes,
        source=layout.name,
        encoding=layout.encoding.name,
        label_table=_table(layout.encoding),
        tool=afdcd.__version__,
        options=options.recorded(),
        skipped=report.offences,
        pixels=pixels,
        shards=tuple(receipt.shard for receipt in receipts),
        index_sha256=write_index(root, join_index([receipt.lines for receipt in receipts])),
        own=own,
    )
    check_sizes(root, manifest)  # shards written by another machine must be seen from here
    write_manifest(root, manifest)
    _sweep(root, manifest)
    return manifest, report


def plan(dataset: Dataset, layout: Layout, options: BuildOptions) -> list[Part]:
    """The shards to write: contiguous runs of each split's pairs, in the layout's order."""
    return [
        part
        for split in ALL_SPLITS
        for part in _cut(
            split, [p for p in layout.pairs if p.split == split], dataset, layout, options
        )
    ]


def _cut(
    split: Split, pairs: Sequence[Pair], dataset: Dataset, layout: Layout, options: BuildOptions
) -> list[Part]:
    """Parts whose numbers of pairs differ by one at most; none empty."""
    if not pairs:
        return []
    files = [[stamp(layout.folder, place) for place in (p.image, p.label)] for p in pairs]
    wanted = options.shards or ceil(sum(image for (image, _), _ in files) / _SHARD_BYTES)
    count = max(1, min(wanted, len(pairs)))
    bounds = [index * len(pairs) // count for index in range(count + 1)]
    common = _common(dataset, layout, options)
    return [
        Part(
            split=split,
            index=index,
            count=count,
            folder=layout.folder.absolute(),
            pairs=tuple(pairs[start:stop]),
            sizes=tuple(image + label for (image, _), (label, _) in files[start:stop]),
            dataset=dataset,
            encoding=layout.encoding,
            storing=options.storing,
            plan=_digest([common, pairs[start:stop], files[start:stop]]),
        )
        for index, (start, stop) in enumerate(pairwise(bounds))
    ]


def _common(dataset: Dataset, layout: Layout, options: BuildOptions) -> list[str]:
    """What decides the bytes of every shard; the encoding with all its tables, not only its name."""
    versions = [f"{module.__name__} {module.__version__}" for module in (afdcd, PIL, pa, cv2)]
    return [
        *versions,
        dataset.name,
        layout.name,
        repr(layout.encoding),
        repr(options.storing),
    ]


def _digest(parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _pixels(dataset: Dataset, receipts: Sequence[Receipt]) -> dict[Split, tuple[int, ...]]:
    present = {receipt.shard.split for receipt in receipts}
    splits = [split for split in ALL_SPLITS if split in SPLITS or split in present]
    pixels = {split: np.zeros(len(dataset.classes) + 1, dtype=np.int64) for split in splits}
    for receipt in receipts:
        pixels[receipt.shard.split] += np.array(receipt.pixels)
    return {split: tuple(counts.tolist()) for split, counts in pixels.items()}


def _remarks(receipts: Sequence[Receipt]) -> tuple[str, ...]:
    found: dict[str, tuple[int, str]] = {}
    for receipt in receipts:
        for remark, (count, example) in receipt.remarks.items():
            before, first = found.get(remark, (0, example))
            found[remark] = (before + count, first)
    return tuple(
        f"{count} images: {remark}, e.g. {example}"
        for remark, (count, example) in sorted(found.items())
    )


def _table(encoding: Encoding | Drawing) -> dict[str, int]:
    """Value or colour in a label file -> train id, of encodings that are one table."""
    table = getattr(encoding, "table", {})
    return {
        " ".join(map(str, raw)) if isinstance(raw, tuple) else str(raw): train
        for raw, train in table.items()
    }


def _refuse(report: Report, receipts: Sequence[Receipt], options: BuildOptions) -> None:
    of = {s: [r for r in receipts if r.shard.split == s] for s in ALL_SPLITS}
    lost = [split for split, parts in of.items() if parts and not any(r.shard.rows for r in parts)]
    if not lost and not (options.strict and report.offences):
        return
    faults = [f"{split} loses all its images" for split in lost]
    summary = f"{len(report.offences)} unusable files, nothing prepared"
    remedy = "mend them" if lost else "mend them, or leave --strict away to go on without them"
    text = "\n".join([*report.brief(), f"{'; '.join([*faults, summary])}: {remedy}"])
    if options.strict:
        raise UserError(text)
    raise LostSplitError(text, lost, [o for split in lost for r in of[split] for o in r.offences])


def _finished(
    root: str, dataset: Dataset, layout: Layout, options: BuildOptions, own: OwnData | None
) -> tuple[Manifest, Report]:
    """A run that was stopped between its manifest and its last tidying is done; tidy up."""
    manifest = read_manifest(root)
    made = (manifest.dataset, manifest.source, manifest.options, manifest.label_table, manifest.own)
    asked = (dataset.name, layout.name, options.recorded(), _table(layout.encoding), own)
    if made != asked or not storage.names(storage.join(root, RECEIPTS)):
        raise UserError(f"{root}: holds a prepared data set; remove it or choose another")
    _sweep(root, manifest)
    return manifest, Report(root, layout.folder, len(layout.pairs), manifest.skipped)


def _sweep(root: str, manifest: Manifest) -> None:
    """Remove what earlier runs left: shards of another cut, files cut short, at last the receipts."""
    kept = {shard.file for shard in manifest.shards}
    for name in storage.names(root):
        if _LEFT_BEHIND.fullmatch(name) and name not in kept:
            storage.remove(storage.join(root, name))
    storage.remove_folder(storage.join(root, RECEIPTS))
