"""What is known of a data set before it is opened: how many images validate, and what decoding takes.

Decoding was measured on one core (docs/performance.md, "Data"): 75 ms for a PNG of 1024x2048, 6.8 ms for a
JPEG of 480x640, augmentation included.
"""

import math

from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.catalog.splits import Split
from afdcd.data.shards.manifest import Manifest, is_prepared, read_manifest
from afdcd.data.shards.rows import Rows, open_split
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.train.config import DataConfig

PNG_SECONDS, JPEG_SECONDS = 0.075 / (1024 * 2048), 0.0068 / (480 * 640)  # a pixel
PNG_BYTES = 0.7  # a pixel, with its label: a photograph as JPEG takes about 0.3, as PNG more than 1
USUAL = (480, 640)  # (height, width) where images differ


def image_pixels(data: DataConfig) -> int:
    return math.prod(_size(data))


def decode_seconds(data: DataConfig) -> float:
    """Of one core, an image."""
    return image_pixels(data) * (PNG_SECONDS if _is_png(data) else JPEG_SECONDS)


def validated_images(data: DataConfig) -> float:
    """How many images a validation looks at."""
    if rows := _own(data):
        return len(rows)
    split: Split = "train" if data.protocol == "dev" else "val"
    count = prepared.rows(split) if (prepared := manifest_of(data)) else _published(data, split)
    return count * (DATASETS[data.dataset].held_out_share if data.protocol == "dev" else 1)


def manifest_of(data: DataConfig) -> Manifest | None:
    """Of a set that is prepared on this machine; one at a URI is not asked for."""
    if data.root is None or "://" in data.root:
        return None
    try:
        return read_manifest(data.root, data.dataset) if is_prepared(data.root) else None
    except (UserError, OSError):  # `tune` says what is wrong with it
        return None


def prepared_bytes(data: DataConfig) -> int | None:
    """On the disk; None where it is not known."""
    manifest = manifest_of(data)
    return sum(shard.size for shard in manifest.shards) if manifest else None


def _size(data: DataConfig) -> tuple[int, int]:
    if rows := _own(data):
        return rows.size(len(rows) // 2)
    known = DATASETS[data.dataset]
    if known.rendered:
        return SyntheticConfig().height, SyntheticConfig().width
    return known.image_size or USUAL


def _own(data: DataConfig) -> Rows | None:
    """The rows that validate, of a set that is in no catalog: only it can say how many and how large."""
    if data.dataset in DATASETS:
        return None
    return open_split(data.location, data.dataset, data.protocol, "val")


def _is_png(data: DataConfig) -> bool:
    if rows := _own(data):
        return rows.stored(len(rows) // 2) > PNG_BYTES * image_pixels(data)
    return DATASETS[data.dataset].png


def _published(data: DataConfig, split: Split) -> int:
    known = DATASETS[data.dataset]
    return int(getattr(SyntheticConfig(), split)) if known.rendered else known.counts[split]
