"""Data sets that people bring, made in a few lines; and the truth of the samples."""

import json
from collections.abc import Mapping, Set
from pathlib import Path

import numpy as np
from PIL import Image

from afdcd.data.catalog.labels import Encoding
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.own.found import Form, Found, Hints, Raw
from afdcd.data.own.masks import MaskColours, MaskNumbers
from afdcd.data.own.tree import Tree
from afdcd.data.places import read
from tests.samples import SAMPLES


def made(folder: Path, *files: str) -> Path:
    """Gray pictures of 2x3 pixels at `files`."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 3), np.uint8)).save(path)
    return folder


def written(folder: Path, file: str, text: str) -> None:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text)


def recognised(form: Form, folder: Path, suffix: str | None = None) -> Found:
    found = form(Tree.of(folder), Hints(suffix))
    assert found is not None
    return found


def shape(found: Found) -> dict[str, tuple[object, object, object]]:
    """Key -> picture, label, split."""
    return {item.key: (item.image, item.label, item.split) for item in found.items}


def agrees_with_sample(
    form: str, found: Found, names: Mapping[Raw, str], ignored: Set[Raw] = frozenset()
) -> None:
    """Every pixel of every image is of the class that expected.json says, and in its split."""
    expected = json.loads((SAMPLES / "own" / form / "expected.json").read_text())
    classes = expected["classes"]
    table: dict[Raw, int] = dict.fromkeys({*ignored, *found.said.ignored}, IGNORE)
    encoding = _encoding({**table, **{raw: classes.index(name) for raw, name in names.items()}})
    counts = {item.key: dict.fromkeys([*classes, "ignored"], 0) for item in found.items}
    for item in found.items:
        ids = encoding.train_ids(read(SAMPLES / "own" / form / "source", str(item.label)))
        truth = expected["images"][item.key]
        assert (item.image, item.split) == (truth["image"], truth["split"])
        assert list(ids.shape) == truth["size"]
        values, often = np.unique(ids, return_counts=True)
        for value, count in zip(values.tolist(), often.tolist(), strict=True):
            counts[item.key]["ignored" if value == IGNORE else classes[value]] += count
    assert counts == {key: truth["counts"] for key, truth in expected["images"].items()}
    assert not found.refused


def _encoding(table: Mapping[Raw, int]) -> Encoding:
    numbers = {raw: train for raw, train in table.items() if isinstance(raw, int)}
    colours = {raw: train for raw, train in table.items() if isinstance(raw, tuple)}
    return MaskNumbers("numbers", numbers) if numbers else MaskColours("colours", colours)
