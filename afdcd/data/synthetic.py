"""The embedded default data set: rendered street scenes, seeded, without any download."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import UInt8
from pydantic import Field, NonNegativeInt, PositiveInt

import afdcd
from afdcd.config import FrozenConfig
from afdcd.data.catalog import IGNORE, SPLITS, SYNTHETIC, Split
from afdcd.data.images import encode_png
from afdcd.data.manifest import (
    Manifest,
    Shard,
    class_pixels,
    is_prepared,
    write_index,
    write_manifest,
)
from afdcd.data.shards import Row, join_index, write_shard
from afdcd.data.street.draw import draw
from afdcd.data.street.light import photograph
from afdcd.data.street.plan import plan
from afdcd.seeds import derive

FRAMES_PER_SCENE = 6
_BONNET_SHARE = 0.4  # of the scenes show the bonnet of the camera's own car, which is no class


class SyntheticConfig(FrozenConfig):
    """How much is rendered; sizes in pixels, counts in images."""

    seed: NonNegativeInt = 0
    height: PositiveInt = Field(default=144, ge=64, le=4096)
    width: PositiveInt = Field(default=192, ge=64, le=4096)
    train: PositiveInt = 240
    val: PositiveInt = 60
    test: PositiveInt = 60


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
    root: str, config: SyntheticConfig, progress: Callable[[int], Any] = lambda images: None
) -> Manifest:
    """Render the three splits into `root`; equal configs write equal bytes."""
    shards, index, pixels = [], [], {}
    for split in SPLITS:
        shard, lines, pixels[split] = _render_split(root, split, config, progress)
        shards.append(shard)
        index.append(lines)
    manifest = Manifest(
        dataset=SYNTHETIC.name,
        classes=SYNTHETIC.classes,
        source="rendered",
        encoding="train ids",
        tool=afdcd.__version__,
        options=config.plain(),
        skipped=(),
        pixels=pixels,
        shards=tuple(shards),
        index_sha256=write_index(root, join_index(index)),
    )
    write_manifest(root, manifest)
    return manifest


def ensure_synthetic(root: str) -> None:
    """Render the default set unless `root` is prepared.

    Several processes may call it at once: they write equal files, each moved into place whole.
    """
    if not is_prepared(root):
        prepare_synthetic(root, SyntheticConfig())


def _render_split(
    root: str, split: Split, config: SyntheticConfig, progress: Callable[[int], Any]
) -> tuple[Shard, pa.Table, tuple[int, ...]]:
    rows, pixels = [], np.zeros(len(SYNTHETIC.classes) + 1, dtype=np.int64)
    for index in range(getattr(config, split)):
        seed = derive(config.seed, split)
        image, label = render(seed, index, config.height, config.width)
        pixels += class_pixels(label, len(SYNTHETIC.classes))
        scene, frame = divmod(index, FRAMES_PER_SCENE)
        key = f"{split}{scene:04d}_{frame}"
        rows.append(Row(key, encode_png(image), encode_png(label), config.height, config.width))
        progress(1)
    return *write_shard(root, split, 0, 1, rows), tuple(pixels.tolist())


def _draw_bonnet(canvas: Any, height: int, width: int) -> None:
    top, edge = height * 0.93, height * 0.985
    arc = [(0, height), (0, edge), (width * 0.25, top), (width * 0.75, top), (width, edge)]
    canvas.flat([*arc, (width, height)], (46, 48, 54), IGNORE)
