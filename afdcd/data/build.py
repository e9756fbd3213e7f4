"""From a raw folder to a prepared data set: judge all files, write shards, then the manifest."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

import afdcd
from afdcd.config import FrozenConfig, UserError
from afdcd.data.catalog import SPLITS, Dataset, Split
from afdcd.data.check import judge
from afdcd.data.convert.pairs import Layout, Pair
from afdcd.data.manifest import Manifest, Shard, write_index, write_manifest
from afdcd.data.shards import Row, join_index, write_shard

_SHARD_BYTES = 64 * 2**20


class BuildOptions(FrozenConfig):
    """Choices of the person who prepares.

    Attributes:
        jpeg_quality: re-encode images as JPEG 4:4:4; None keeps the bytes as shipped.
        shards: per split; None aims at 64 MiB each.
        skip_bad: leave unusable pairs out and record them, instead of refusing.
        strict: refuse where the number of images differs from the published one.
    """

    jpeg_quality: int | None = Field(default=None, ge=1, le=100)
    shards: int | None = Field(default=None, ge=1)
    skip_bad: bool = False
    strict: bool = False


@dataclass
class _Findings:
    offences: list[str] = field(default_factory=list)
    remarks: Counter[str] = field(default_factory=Counter)
    pixels: dict[Split, np.ndarray] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)
    index: list[pa.Table] = field(default_factory=list)


def build(
    root: str,
    dataset: Dataset,
    layout: Layout,
    options: BuildOptions,
    progress: Callable[[int], Any] = lambda images: None,
) -> tuple[Manifest, list[str]]:
    """Write `layout` to `root`; returns the manifest and warnings for a person.

    Raises:
        UserError: every unusable file, one line each (unless `skip_bad`); with `strict` a wrong
            count. No manifest is written then, so nothing can be read as complete.
    """
    warnings = _count_warnings(dataset, layout)
    if options.strict and warnings:
        raise UserError("\n".join(warnings))
    findings = _Findings(offences=_repeated(layout.pairs))
    if findings.offences:
        raise UserError("\n".join(findings.offences))
    for split in SPLITS:
        _write_split(root, split, dataset, layout, options, findings, progress)
    if findings.offences and not options.skip_bad:
        raise UserError(_refusal(layout, findings.offences))
    manifest = Manifest(
        dataset=dataset.name,
        classes=dataset.classes,
        source=layout.name,
        encoding=layout.encoding.name,
        tool=afdcd.__version__,
        options=options.plain(),
        skipped=tuple(findings.offences),
        pixels={split: tuple(counts.tolist()) for split, counts in findings.pixels.items()},
        shards=tuple(findings.shards),
        index_sha256=write_index(root, join_index(findings.index)),
    )
    write_manifest(root, manifest)
    remarks = [f"{count} images: {remark}" for remark, count in sorted(findings.remarks.items())]
    return manifest, warnings + remarks


def _write_split(
    root: str,
    split: Split,
    dataset: Dataset,
    layout: Layout,
    options: BuildOptions,
    findings: _Findings,
    progress: Callable[[int], Any],
) -> None:
    pairs = [pair for pair in layout.pairs if pair.split == split]
    findings.pixels[split] = np.zeros(len(dataset.classes) + 1, dtype=np.int64)
    verdict_of = partial(
        judge,
        layout.folder,
        dataset=dataset,
        encoding=layout.encoding,
        jpeg_quality=options.jpeg_quality,
    )
    parts = _cut(pairs, options.shards or _shard_count(layout, pairs))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # decoding frees the GIL
        for index, part in enumerate(parts):
            rows: list[Row] = []
            for verdict in pool.map(verdict_of, part):
                findings.offences.extend(verdict.offences)
                findings.remarks.update(verdict.remarks)
                findings.pixels[split] += verdict.pixels
                rows.extend([verdict.row] if verdict.row else [])
                progress(1)
            if options.skip_bad or not findings.offences:
                shard, lines = write_shard(root, split, index, len(parts), rows)
                findings.shards.append(shard)
                findings.index.append(lines)


def _cut(pairs: Sequence[Pair], count: int) -> list[Sequence[Pair]]:
    """Contiguous parts whose sizes differ by one at most; none empty."""
    count = max(1, min(count, len(pairs)))
    bounds = [index * len(pairs) // count for index in range(count + 1)]
    return [pairs[start:stop] for start, stop in pairwise(bounds)]


def _shard_count(layout: Layout, pairs: Sequence[Pair]) -> int:
    files = (layout.folder / pair.image for pair in pairs)
    return ceil(sum(file.stat().st_size for file in files if file.is_file()) / _SHARD_BYTES)


def _count_warnings(dataset: Dataset, layout: Layout) -> list[str]:
    found = Counter(pair.split for pair in layout.pairs)
    return [
        f"{layout.folder}: {split} has {found[split]} images, published {count}"
        for split, count in dataset.counts.items()
        if found[split] != count
    ]


def _repeated(pairs: Sequence[Pair]) -> list[str]:
    """Keys must be unique over all splits: a frame in two of them would leak into the report."""
    counts = Counter(pair.key for pair in pairs)
    return [
        f"{pair.image}: {pair.key} is listed {counts[pair.key]} times: keep one"
        for pair in pairs
        if counts[pair.key] > 1
    ]


def _refusal(layout: Layout, offences: Sequence[str]) -> str:
    lines = [f"{layout.folder}/{offence}" for offence in offences]
    summary = f"{len(lines)} unusable files, nothing prepared; mend them or give --skip-bad"
    return "\n".join([*lines, summary])
