"""The work of one shard, and the receipt it leaves: what makes preparing parallel and resumable.

A receipt is written after its shard. It counts only for the very plan it was made by and only while
its shard has its size, so a run that was killed goes on where it was, and nothing else is reused.
"""

import json
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from afdcd import storage
from afdcd.config import FrozenConfig, Source, UserError, validate
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Drawing, Encoding
from afdcd.data.catalog.splits import Split
from afdcd.data.pairs import Pair
from afdcd.data.prepare.check import Verdict, judge
from afdcd.data.prepare.storing import Storing
from afdcd.data.shards.manifest import Shard
from afdcd.data.shards.parquet import INDEX_SCHEMA, Row, shard_file, write_shard
from afdcd.text import printable

RECEIPTS = ".parts"


class Progress(Protocol):
    """Told how far a preparation is."""

    def begin(self, images: int, kept: int) -> Any:
        """`images` in all, of which `kept` are done already by an earlier run."""

    def __call__(self, images: int, size: int) -> Any:
        """`images` more were judged, of `size` bytes on disk."""


class Silent:
    def begin(self, images: int, kept: int) -> None: ...

    def __call__(self, images: int, size: int) -> None: ...


@dataclass(frozen=True)
class Part:
    """One shard to write; a plain value that travels to other processes.

    Attributes:
        sizes: bytes on disk of each pair.
        plan: sha256 of all that decides the shard's bytes.
    """

    split: Split
    index: int
    count: int
    folder: Path
    pairs: tuple[Pair, ...]
    sizes: tuple[int, ...]
    dataset: Dataset
    encoding: Encoding | Drawing
    storing: Storing
    plan: str

    @property
    def file(self) -> str:
        return shard_file(self.split, self.index, self.count)


class Receipt(FrozenConfig):
    """What a finished shard contributes to the manifest, the index and the report.

    Attributes:
        pixels: of each class and, last, ignored ones.
        remarks: remark -> how many images, and one of them.
        index: columns of the shard's lines of the index.
    """

    plan: str
    shard: Shard
    images: int
    size: int
    pixels: tuple[int, ...]
    offences: tuple[str, ...]
    remarks: dict[str, tuple[int, str]]
    index: dict[str, tuple[str | int, ...]]

    @property
    def lines(self) -> pa.Table:
        return pa.table(
            [pa.array(self.index[field.name], field.type) for field in INDEX_SCHEMA], INDEX_SCHEMA
        )


Mapper = Callable[[str, Sequence[Part], Progress], Iterable[Receipt]]


def in_turn(root: str, parts: Sequence[Part], progress: Progress) -> Iterator[Receipt]:
    """The mapper that needs no other process."""
    for part in parts:
        yield write_part(root, part, progress)


def write_parts(
    root: str, parts: Sequence[Part], mapper: Mapper, progress: Progress
) -> list[Receipt]:
    """Write the shards that are not there yet; the receipts of all, in the order of `parts`."""
    found = _receipts(root, parts)
    progress.begin(
        sum(len(part.pairs) for part in parts), sum(receipt.images for receipt in found.values())
    )
    missing = [part for part in parts if part.file not in found]
    for receipt in mapper(root, missing, progress):
        found[receipt.shard.file] = receipt
    return [found[part.file] for part in parts]


def write_part(root: str, part: Part, progress: Progress) -> Receipt:
    """Judge the pairs of `part`, write its shard, then its receipt.

    Raises:
        UserError: the source folder is not on this machine, or the shard cannot be written.
    """
    if not part.folder.is_dir():
        raise UserError(
            f"{part.folder}: no such folder on {socket.gethostname()}; put it where all nodes of the "
            "cluster see it, or give --workers 1"
        )
    found = _Found(np.zeros(len(part.dataset.classes) + 1, dtype=np.int64))
    shard, lines = write_shard(root, part.split, part.index, part.count, found.rows(part, progress))
    receipt = Receipt(
        plan=part.plan,
        shard=shard,
        images=len(part.pairs),
        size=sum(part.sizes),
        pixels=tuple(found.pixels.tolist()),
        offences=tuple(found.offences),
        remarks=found.remarks,
        index={name: tuple(values) for name, values in lines.to_pydict().items()},
    )
    storage.write_bytes(_receipt(root, part), receipt.model_dump_json().encode())
    return receipt


@dataclass
class _Found:
    """What judging yields besides rows."""

    pixels: np.ndarray
    offences: list[str] = field(default_factory=list)
    remarks: dict[str, tuple[int, str]] = field(default_factory=dict)

    def rows(self, part: Part, progress: Progress) -> Iterator[Row]:
        for pair, size in zip(part.pairs, part.sizes, strict=True):
            verdict = judge(part.folder, pair, part.dataset, part.encoding, part.storing)
            self._note(pair, verdict)
            if verdict.row:
                yield verdict.row
            progress(1, size)

    def _note(self, pair: Pair, verdict: Verdict) -> None:
        self.pixels += verdict.pixels
        self.offences.extend(verdict.offences)
        for remark in verdict.remarks:
            count, example = self.remarks.get(remark, (0, printable(str(pair.image))))
            self.remarks[remark] = (count + 1, example)


def _receipt(root: str, part: Part) -> str:
    return storage.join(root, RECEIPTS, f"{part.file}.json")


def _receipts(root: str, parts: Sequence[Part]) -> dict[str, Receipt]:
    """The receipts that hold for `parts`, by shard."""
    present = set(storage.names(storage.join(root, RECEIPTS)))
    found = {}
    for part in parts:
        if f"{part.file}.json" not in present:
            continue
        try:
            source = Source(_receipt(root, part))
            receipt = validate(Receipt, json.loads(storage.read_bytes(source.name)), source)
        except (UserError, ValueError):
            continue  # by another version of afdcd; the shard is written again
        size = storage.size(storage.join(root, part.file))
        if receipt.plan == part.plan and size == receipt.shard.size:
            found[part.file] = receipt
    return found
