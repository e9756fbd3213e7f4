"""Tiny data sets of one's own, and what a form makes of them."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from afdcd.data.catalog.labels import Numbers, TrainIds, View
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import decode
from afdcd.data.own.found import Form, Found, Hints, Item, Raw
from afdcd.data.own.tree import Tree
from afdcd.data.places import read

SIZE = (6, 8)  # rows, columns


def picture(size: tuple[int, int] = SIZE, turn: int = 1) -> bytes:
    exif = Image.Exif()
    exif[274] = turn
    stream = io.BytesIO()
    Image.new("RGB", size[::-1], (9, 99, 199)).save(stream, "JPEG", exif=exif)
    return stream.getvalue()


def write(root: Path, files: Mapping[str, Any]) -> Path:
    """Bytes and text as they are, anything else as JSON; None is a picture."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.write_bytes(picture())
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
    return root


def found(form: Form, root: Path, hints: Hints | None = None) -> Found:
    result = form(Tree.of(root), hints or Hints())
    assert result is not None
    return result


def names(found: Found) -> list[str]:
    """Classes in the order of their train ids."""
    return list(dict.fromkeys(found.said.names.values()))


def table(found: Found) -> dict[Raw, int]:
    order = names(found)
    ids = {raw: order.index(name) for raw, name in found.said.names.items()}
    return ids | dict.fromkeys(found.said.ignored, IGNORE)


def ids(root: Path, found: Found, item: Item, turn: int = 1) -> TrainIds:
    """The label map of one picture, as preparing it makes it."""
    image = decode(read(root, item.image))
    assert item.label is not None
    data = read(root, item.label)
    encoding = found.encoding(table(found)) if found.encoding else Numbers("", table(found))
    if isinstance(encoding, Numbers):
        return encoding.train_ids(data)
    return encoding.draw(data, View(image.height, image.width, turn))


def pixels(root: Path, found: Found, item: Item) -> dict[str, int]:
    """Pixels of each class and `ignored`."""
    counts = np.bincount(ids(root, found, item).ravel(), minlength=256)
    named = {name: int(counts[train]) for train, name in enumerate(names(found))}
    return named | {"ignored": int(counts[IGNORE])}
