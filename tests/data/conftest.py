"""Raw CamVid folders and prepared data sets, made by the tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog.datasets import CAMVID
from afdcd.data.prepare.build import BuildOptions, build
from afdcd.data.raw.camvid import find_camvid

FRAMES = {
    "train": ["0001TP_006690", "0001TP_006720", "0006R0_f00930", "0006R0_f00960", "0016E5_00390"],
    "val": ["0016E5_07959", "0016E5_07961"],
    "test": ["Seq05VD_f00000", "Seq05VD_f00030"],
}
SIZE = (24, 32)  # rows, columns


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """SegNet's layout with 5/2/2 frames of 24x32 pixels and lists of absolute paths."""
    source = tmp_path / "raw"
    rng = np.random.default_rng(0)
    for split, keys in FRAMES.items():
        for folder in (split, f"{split}annot"):
            (source / folder).mkdir(parents=True)
        lines = []
        for key in keys:
            image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
            label = rng.integers(0, 12, SIZE, dtype=np.uint8)
            Image.fromarray(image).save(source / split / f"{key}.png")
            Image.fromarray(label).save(source / f"{split}annot" / f"{key}.png")
            lines.append(f"/SegNet/CamVid/{split}/{key}.png /SegNet/CamVid/{split}annot/{key}.png")
        (source / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return source


@pytest.fixture
def prepared(raw: Path, tmp_path: Path) -> str:
    root = str(tmp_path / "shards")
    build(root, CAMVID, find_camvid(raw, CAMVID), BuildOptions(shards=2))
    return root


@pytest.fixture
def corrupt() -> Callable[[Path, bytes], None]:
    """Overwrite bytes that follow the first occurrence of a marker, keeping the file's size."""

    def apply(path: Path, marker: bytes) -> None:
        data = bytearray(path.read_bytes())
        place = data.index(marker) + len(marker)
        data[place : place + 64] = bytes(64)
        path.write_bytes(data)

    return apply
