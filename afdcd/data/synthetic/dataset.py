"""The embedded default data set: rendered street scenes, seeded, without any download."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import UInt8

import afdcd
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import encode_label, encode_png
from afdcd.data.prepare.part import Progress, Silent
from afdcd.data.shards.manifest import (
    Manifest,
    class_pixels,
    is_prepared,
    write_index,
    write_manifest,
)
from afdcd.data.shards.parquet import Row, join_index, write_shard
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.draw import draw
from afdcd.data.synthetic.photo_noise import photograph
from afdcd.data.synthetic.plan import plan
from afdcd.seeds import derive

FRAMES_PER_SCENE = 6
_BONNET_SHARE = 0.4  # of the scenes show the bonnet of the camera's own car, which is no class


def render(
    seed: int, index: int, height: int, width: int
) -> tuple[UInt8[np.ndarray, "H W 3"], UInt8[np.ndarray, "H W"]]:
    """Image and train ids of one frame; each six frames in a row show one scene."""
    scene_index, frame = divmod(index, FRAMES_PER_SCENE)
    scene = plan(np.random.default_rng(derive(seed, "scene", scene_index)))
    shared = np.random.default_rng(derive(seed, "light", scene_index))
    own = np.random.default_rng(derive(seed, "frame", index))
    bonnet = bool(shared.random() < _BONNET_SHARE)
    canvas = draw(scene, frame, own, height, width)
    if bonnet:
        _draw_bonnet(canvas, height, width)
    label = canvas.label()
    label[:, [0, -1]] = IGNORE  # as the rectification border of a stereo camera
    return photograph(canvas.image(), label, own, shared), label


def prepare_synthetic(
    root: str, config: SyntheticConfig, progress: Progress | None = None
) -> Manifest:
    """Render the three splits into `root`; equal configs write equal bytes."""
    progress = progress or Silent()
    progress.begin(sum(getattr(config, split) for split in SPLITS), 0)
    pixels = {split: np.zeros(len(SYNTHETIC.classes) + 1, dtype=np.int64) for split in SPLITS}
    written = [
        write_shard(root, split, 0, 1, _rows(split, config, pixels[split], progress))
        for split in SPLITS
    ]
    manifest = Manifest(
        dataset=SYNTHETIC.name,
        classes=SYNTHETIC.classes,
        source="rendered",
        encoding="train ids",
        label_table={str(raw): train for raw, train in SYNTHETIC.raw_to_train.items()},
        tool=afdcd.__version__,
        options=config.plain(),
        skipped=(),
        pixels={split: tuple(counts.tolist()) for split, counts in pixels.items()},
        shards=tuple(shard for shard, _ in written),
        index_sha256=write_index(root, join_index([lines for _, lines in written])),
    )
    write_manifest(root, manifest)
    return manifest


def ensure_synthetic(root: str, progress: Progress | None = None) -> None:
    """Render the default set unless `root` is prepared.

    Several processes may call it at once: they write equal files, each moved into place whole.
    """
    if not is_prepared(root):
        prepare_synthetic(root, SyntheticConfig(), progress)


def _rows(
    split: Split, config: SyntheticConfig, pixels: np.ndarray, progress: Progress
) -> Iterator[Row]:
    """The rows of a split; their pixels are added to `pixels`."""
    seed = derive(config.seed, split)
    for index in range(getattr(config, split)):
        image, label = render(seed, index, config.height, config.width)
        pixels += class_pixels(label, len(SYNTHETIC.classes))
        scene, frame = divmod(index, FRAMES_PER_SCENE)
        row = Row(
            f"{split}{scene:04d}_{frame}",
            encode_png(image),
            encode_label(label),
            config.height,
            config.width,
        )
        yield row
        progress(1, len(row.image) + len(row.label))


def _draw_bonnet(canvas: Any, height: int, width: int) -> None:
    top, edge = height * 0.93, height * 0.985
    arc = [(0, height), (0, edge), (width * 0.25, top), (width * 0.75, top), (width, edge)]
    canvas.flat([*arc, (width, height)], (46, 48, 54), IGNORE)
