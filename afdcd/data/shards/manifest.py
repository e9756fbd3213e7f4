"""The manifest of a prepared data set: written last, so a folder that has one is complete.

Beside it lies `index.parquet`: one line per row with its key and where in its shard its bytes are.
"""

import difflib
import hashlib
import io
import json
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import JsonValue

from afdcd import storage
from afdcd.config import FrozenConfig, Source, UserError, validate
from afdcd.data.catalog.datasets import DATASETS, prepare_command
from afdcd.data.catalog.splits import Split
from afdcd.text import first_line

NAME = "manifest.json"
INDEX = "index.parquet"
VERSION = 2


class Shard(FrozenConfig):
    """One Parquet file of `rows` rows and `size` bytes."""

    file: str
    split: Split
    rows: int
    size: int
    sha256: str


class OwnData(FrozenConfig):
    """What the catalog says of a published data set, of one that a person brought.

    Attributes:
        palette: one colour per class, for pictures only.
        ignored: what in the labels neither trains nor scores, in words.
        split: by which rule pictures were split, in words.
        group: what keeps pictures together in one split, in a word.
        held_out: keys of the train split that select under protocol `dev`; no rule is needed to tell.
    """

    palette: tuple[tuple[int, int, int], ...]
    ignored: tuple[str, ...]
    split: str
    group: str
    held_out: tuple[str, ...]


class Manifest(FrozenConfig):
    """What was prepared, from what, and how.

    Attributes:
        source: the folder layout that was found, or how the pictures were made.
        encoding: how its label files said which class a pixel has.
        label_table: value or colour in a label file -> train id, where the encoding is one table.
        options: the choices of the person who prepared it.
        skipped: `file: reason: remedy` of what was left out.
        pixels: per split, pixels of each class and, last, ignored ones.
        index_sha256: of the index beside the manifest.
        own: of a data set that is in no catalog.
    """

    version: Literal[2] = 2
    dataset: str
    classes: tuple[str, ...]
    source: str
    encoding: str
    label_table: dict[str, int]
    tool: str
    options: dict[str, JsonValue]
    skipped: tuple[str, ...]
    pixels: dict[Split, tuple[int, ...]]
    shards: tuple[Shard, ...]
    index_sha256: str
    own: OwnData | None = None

    @property
    def digest(self) -> str:
        """sha256 of the canonical manifest; covers every byte of the data through the shards'."""
        text = json.dumps(_said(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def rows(self, split: Split) -> int:
        return sum(shard.rows for shard in self.shards if shard.split == split)


def _said(manifest: Manifest) -> dict[str, Any]:
    """Without what came later and says nothing, so that the digest of a published set stays."""
    values = manifest.plain()
    if manifest.own is None:
        del values["own"]
    return values


def write_manifest(root: str, manifest: Manifest) -> None:
    text = json.dumps(_said(manifest), indent=1, sort_keys=True)
    storage.write_bytes(storage.join(root, NAME), f"{text}\n".encode())


def is_prepared(root: str) -> bool:
    return storage.exists(storage.join(root, NAME))


def read_manifest(root: str, dataset: str | None = None) -> Manifest:
    """The manifest of `root`, checked to be of `dataset` where one is given.

    Raises:
        UserError: not prepared (names the command to run), damaged, or another data set.
    """
    if not is_prepared(root):
        command = prepare_command(dataset or "DATASET", root)
        near = difflib.get_close_matches(dataset or "", DATASETS, n=1)
        slip = f"; or is it {near[0]!r}?" if near and near[0] != dataset else ""
        raise UserError(f"{root}: no prepared data set here (no {NAME}); run `{command}`{slip}")
    uri = storage.join(root, NAME)
    values = _parse(uri)
    version = values.get("version") if isinstance(values, dict) else None
    if version != VERSION:
        raise UserError(
            f"{uri}: manifest version {version}, this afdcd reads {VERSION}; prepare the data set again"
        )
    manifest = validate(Manifest, values, Source(uri))
    if dataset is not None and manifest.dataset != dataset:
        raise UserError(f"{root}: holds {manifest.dataset!r}, not {dataset!r}; give its own folder")
    return manifest


def _parse(uri: str) -> Any:
    try:
        return json.loads(storage.read_bytes(uri))
    except ValueError as error:
        raise UserError(
            f"{uri}: damaged ({first_line(error)}); prepare the data set again"
        ) from None


def write_index(root: str, index: pa.Table) -> str:
    """Write the index; returns its sha256."""
    stream = io.BytesIO()
    pq.write_table(index, stream)
    storage.write_bytes(storage.join(root, INDEX), stream.getvalue())
    return hashlib.sha256(stream.getvalue()).hexdigest()


def read_index(root: str, manifest: Manifest) -> pa.Table:
    """The index of `manifest`, checked against its sha256.

    Raises:
        UserError: it is missing or was changed.
    """
    uri = storage.join(root, INDEX)
    try:
        data = storage.read_bytes(uri)
    except OSError as error:
        raise UserError(
            f"{uri}: cannot be read ({first_line(error)}); prepare the data set again"
        ) from None
    if hashlib.sha256(data).hexdigest() != manifest.index_sha256:
        raise UserError(f"{uri}: differs from its sha256; prepare the data set again")
    return pq.ParquetFile(io.BytesIO(data)).read(use_threads=False)


def class_pixels(train_ids: np.ndarray, classes: int) -> np.ndarray:
    """Pixels of each class and, last, of all that is no class."""
    counts = np.bincount(train_ids.ravel(), minlength=256)
    return np.append(counts[:classes], counts[classes:].sum())
