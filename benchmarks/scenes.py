"""Pictures to load, as loose files and as a prepared set: rendered, with noise to their usual size."""

import argparse
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import encode_label, encode_png
from afdcd.data.shards.manifest import Manifest, write_index, write_manifest
from afdcd.data.shards.parquet import Row, join_index, write_shard
from afdcd.data.synthetic.dataset import render


def add_picture_arguments(parser: argparse.ArgumentParser, pictures: int) -> None:
    """What is loaded, and by how many processes; `pictures` is the default of how many there are."""
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=[1024, 2048],
        metavar=("H", "W"),
        help="of the pictures; default: 1024 2048",
    )
    parser.add_argument(
        "--pictures", type=int, default=pictures, help=f"in the set; default: {pictures}"
    )
    parser.add_argument(
        "--loader-workers", type=int, help="processes that load; default: all cores but one"
    )


@dataclass(frozen=True)
class Kind:
    """Pictures of one data set; blur (pixels) and noise (levels) give files the size of its own:
    2.3 MB and 165 kB.
    """

    name: str
    dataset: str
    size: tuple[int, int]
    crop: tuple[int, int]
    jpeg: bool
    blur: float = 0.0
    noise: float = 0.0

    @property
    def official_table(self) -> Mapping[int, int]:
        """Label values that the official code translates, one masked assignment each."""
        table = {255: IGNORE} if self.jpeg else DATASETS[self.dataset].raw_to_train
        return {raw: -1 if train == IGNORE else train for raw, train in table.items()}


KINDS = {
    kind.name: kind
    for kind in (
        Kind("cityscapes", "cityscapes", (1024, 2048), (512, 1024), jpeg=False, blur=1.1),
        Kind("coco", "coco_stuff", (480, 640), (512, 512), jpeg=True, noise=14.0),
    )
}


@dataclass(frozen=True)
class Pictures:
    """`files`: (image, label of raw values); `root`: the prepared set of the same pictures."""

    files: list[tuple[Path, Path]]
    root: str
    image_bytes: int


def write_pictures(folder: Path, kind: Kind, count: int) -> Pictures:
    known = DATASETS[kind.dataset]
    values = np.arange(256, dtype=np.uint8)
    for train, raw in known.train_to_raw.items():
        values[train] = raw
    values[255] = 255 if 255 in known.raw_to_train else 0  # "unlabeled" of Cityscapes
    rows, files = [], []
    for number, (image, label) in enumerate(_scenes(kind, count)):
        row = Row(f"a_{number:06d}", _encoded(image, kind), encode_label(label), *kind.size)
        paths = folder / f"{number}.{'jpg' if kind.jpeg else 'png'}", folder / f"{number}_label.png"
        paths[0].write_bytes(row.image)
        paths[1].write_bytes(encode_png(values[label]))
        rows.append(row)
        files.append(paths)
    root = str(folder / "prepared")
    write_set(root, kind.dataset, iter([rows]), 1)
    return Pictures(files, root, sum(len(row.image) for row in rows) // count)


def write_set(root: str, dataset: str, shards: Iterator[list[Row]], count: int) -> None:
    """A prepared set of `count` shards of train rows."""
    known = DATASETS[dataset]
    written = [write_shard(root, "train", i, count, rows) for i, rows in enumerate(shards)]
    manifest = Manifest(
        dataset=dataset,
        classes=known.classes,
        source="rendered",
        encoding="train ids",
        label_table={},
        tool="afdcd.bench data",
        options={},
        skipped=(),
        pixels={"train": (0,) * (len(known.classes) + 1)},
        shards=tuple(shard for shard, _ in written),
        index_sha256=write_index(root, join_index([lines for _, lines in written])),
    )
    write_manifest(root, manifest)


def _scenes(kind: Kind, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for number in range(count):
        image, label = render(0, number, *kind.size)
        if kind.blur:
            image = np.asarray(cv2.GaussianBlur(image, (0, 0), kind.blur))
        noise = np.random.default_rng(number).normal(0, kind.noise, image.shape)
        yield np.clip(np.rint(image + noise), 0, 255).astype(np.uint8), label


def _encoded(image: np.ndarray, kind: Kind) -> bytes:
    if not kind.jpeg:
        return encode_png(image)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90)
    return stream.getvalue()
