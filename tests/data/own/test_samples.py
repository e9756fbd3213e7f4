"""Samples of every form, through the real command: the pixels of each class are what they must be.

They come from the tools that write such sets, and are not part of the repository.
"""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from afdcd.data.shards.manifest import Manifest, read_manifest
from afdcd.data.shards.rows import open_split
from afdcd.prepare import main
from tests.samples import SAMPLES

CASES = sorted(SAMPLES.glob("own/*/expected.json")) if SAMPLES else []


@pytest.mark.skipif(not CASES, reason="AFDCD_SAMPLES is not set")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_pixels_of_each_class(case: Path, tmp_path: Path) -> None:
    expected = json.loads(case.read_text())
    arguments = [word.replace("CASE", str(case.parent)) for word in expected["args"]]
    out = tmp_path / "own"
    words = ["custom", "--source", str(case.parent / "source"), "--out", str(out), "--workers", "1"]
    assert main([*words, *arguments]) == 0
    manifest = read_manifest(str(out))
    assert list(manifest.classes) == expected["classes"]
    found = _counts(str(out), manifest)
    assert len(found) == len(expected["images"])
    for key, image in expected["images"].items():
        split, counts = _of(key, found)
        assert image["split"] in (None, split)
        wanted = [image["counts"], *image.get("alternatives", [])]
        off = [max(abs(counts[name] - right[name]) for name in right) for right in wanted]
        assert min(off) <= expected["tolerance"], (key, counts, wanted)


def _counts(root: str, manifest: Manifest) -> dict[str, tuple[str, Counter[str]]]:
    found = {}
    for split in ("train", "val", "test"):
        if not manifest.rows(split):
            continue
        rows = open_split(root, manifest.dataset, "official", split)
        for index in range(len(rows)):
            key, _, label = rows[index]
            pixels = np.bincount(label.ravel(), minlength=256)
            named = {name: int(pixels[train]) for train, name in enumerate(manifest.classes)}
            found[key] = split, Counter({**named, "ignored": int(pixels[255])})
    return found


def _of(key: str, found: dict[str, tuple[str, Counter[str]]]) -> tuple[str, Counter[str]]:
    return found[key] if key in found else found[key.rpartition("/")[2]]
