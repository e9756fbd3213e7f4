"""lightly-train's semantic segmentation: YAML of `train: {images, masks}` and `classes`.

Source: lightly-train 0.18, docs.lightly.ai/train, Semantic Segmentation; there it is a dictionary in a
script, kept as YAML by those who train with a config. `masks` is a folder or a pattern of
`{image_path...}`, of which `parent`, `stem`, `name` and `suffix` are understood. A class may have
several values or colours. Those of `ignore_classes` neither train nor score.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from afdcd.config import Source, UserError
from afdcd.data.own.data_yaml import folder_meant, word, yaml_files
from afdcd.data.own.found import Found, Hints, Raw, Said
from afdcd.data.own.mask_set import paired_set, pictures_in
from afdcd.data.own.pairing import Named
from afdcd.data.own.split_names import split_named
from afdcd.data.own.tables import enter
from afdcd.data.own.tree import Tree

_FORM = "lightly-train images, masks and classes"
_PATTERN = re.compile(r"\{image_path((?:\.(?:parent|stem|name|suffix))*)\}")


def lightly_masks(tree: Tree, hints: Hints) -> Found | None:
    for file, content, source in yaml_files(tree):
        # Its command takes the same below `data:`, beside `out` and `model`.
        inner = content.get("data")
        values = inner if isinstance(inner, dict) else content
        if inner is values:
            source = replace(source, prefix=(*source.prefix, "data"))
        sets = {
            key: entry
            for key, entry in values.items()
            if isinstance(entry, dict) and {"images", "masks"} <= entry.keys()
        }
        if sets and "classes" in values:
            return _found(tree, hints, file, values, sets, source)
    return None


def _found(
    tree: Tree,
    hints: Hints,
    file: str,
    values: Mapping[str, Any],
    sets: Mapping[str, Mapping[str, Any]],
    source: Source,
) -> Found:
    pictures: list[Named] = []
    masks: list[Named] = []
    for key, entry in sets.items():
        split = split_named(key)
        folder = _folder(tree, file, values, entry["images"], source, key)
        found = pictures_in(tree, folder, split)
        pictures += found
        where = str(entry["masks"])
        if "{" in where:
            masks += _by_pattern(tree, found, where, source.at((key, "masks")))
        else:
            masks += pictures_in(tree, _folder(tree, file, values, where, source, key), split)
    if not pictures or not masks:
        raise UserError(
            f"{source.name}: no {'masks' if pictures else 'pictures'} where it says: correct its paths"
        )
    return paired_set(tree, hints, _FORM, _said(file, values, source), pictures, masks, lists={})


def _folder(
    tree: Tree, file: str, values: Mapping[str, Any], path: object, source: Source, key: str
) -> str:
    found = folder_meant(tree, file, values.get("path"), str(path))
    if found is None or found not in tree.folders:
        raise UserError(f"{source.at((key,))}: {path}: no such folder; correct the path")
    return found


def _by_pattern(tree: Tree, pictures: list[Named], pattern: str, where: str) -> Iterator[Named]:
    """The masks that a pattern names; it is filled in by hand and never evaluated."""
    if "{" in _PATTERN.sub("", pattern):
        raise UserError(
            f"{where}: {pattern}: only image_path with parent, stem, name and suffix is understood: "
            "write it so, or give a folder"
        )
    for picture in pictures:
        fill = partial(_part, PurePosixPath(picture.file))
        file = tree.find(_PATTERN.sub(fill, pattern))
        if file is not None:
            yield Named(picture.name, file, picture.split)


def _part(path: PurePosixPath, match: re.Match[str]) -> str:
    """`.parent.parent` or `.stem` of a path."""
    found: PurePosixPath | str = path
    for step in filter(None, match[1].split(".")):
        found = getattr(found, step) if isinstance(found, PurePosixPath) else found
    return str(found)


def _said(file: str, values: Mapping[str, Any], source: Source) -> Said:
    names: dict[Raw, str] = {}
    ignored: set[Raw] = set()
    unused = values.get("ignore_classes") or []
    for number, name, raws in _classes(values["classes"], source):
        for raw in raws:
            if number in unused:
                ignored.add(raw)
            else:
                enter(names, raw, name, source.at(("classes",)))
    return Said(names, frozenset(ignored), source=file, merges=True)


def _classes(given: Any, source: Source) -> Iterator[tuple[int, str, list[Raw]]]:
    """(number, name, values or colours) of each class, by number."""
    classes = dict(enumerate(given)) if isinstance(given, list) else given
    try:
        for number, entry in sorted((int(key), entry) for key, entry in classes.items()):
            if isinstance(entry, dict):
                raws = entry.get("labels") or entry.get("values") or [number]
                yield number, word(entry["name"]), [_raw(raw) for raw in raws]
            else:
                yield number, word(entry), [number]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{source.at(('classes',))}: expected `0: name` or `0: {{name: name, labels: [1, 4]}}` "
            "lines, with a colour as [r, g, b]"
        ) from None


def _raw(given: Any) -> Raw:
    if isinstance(given, int):
        return given
    red, green, blue = (int(channel) for channel in given)
    return red, green, blue
