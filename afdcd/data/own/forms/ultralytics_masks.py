"""Ultralytics' semantic data sets: `data.yaml` with `masks_dir`, numbers in PNG.

Source: ultralytics 8.4, docs.ultralytics.com/datasets/semantic. The mask of a picture is the file of
its stem below the last `images` of its path, which `masks_dir` replaces. `label_mapping` says what
numbers in the files mean, those outside it mean themselves, 255 is ignored.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from afdcd.config import Source, UserError
from afdcd.data.own.data_yaml import class_names, folder_meant, yaml_files
from afdcd.data.own.found import Found, Hints, Raw, Said
from afdcd.data.own.mask_set import mask_set, paired_set, pictures_in
from afdcd.data.own.split_names import split_named
from afdcd.data.own.tree import Tree

_FORM = "Ultralytics semantic masks"
_IGNORED = 255


def ultralytics_masks(tree: Tree, hints: Hints) -> Found | None:
    for file, values, source in yaml_files(tree):
        if "masks_dir" in values:
            return _found(tree, hints, file, values, source)
    return None


def _found(
    tree: Tree, hints: Hints, file: str, values: Mapping[str, Any], source: Source
) -> Found | None:
    said = _said(file, values, source)
    places = dict(_places(tree, file, values, source))
    if all(place in tree.files for place in places):
        lists: dict[Any, list[str]] = {}
        for place, split in places.items():
            lists.setdefault(split, []).append(place)
        return mask_set(tree, hints, _FORM, said, lists=lists)
    pictures, masks = [], []
    for folder, split in places.items():
        pictures += pictures_in(tree, folder, split)
        masks += pictures_in(tree, _masks_folder(folder, str(values["masks_dir"]), source), split)
    if not pictures or not masks:
        lacking = "masks" if pictures else "pictures"
        folders = ", ".join(places)
        raise UserError(f"{source.name}: no {lacking} for {folders}: correct its paths")
    return paired_set(tree, hints, _FORM, said, pictures, masks, lists={})


def _places(
    tree: Tree, file: str, values: Mapping[str, Any], source: Source
) -> Iterator[tuple[str, Any]]:
    """Folder, or list of pictures -> split."""
    for key, entry in values.items():
        split = split_named(key)
        if split is None or not entry:
            continue
        for path in entry if isinstance(entry, list) else [entry]:
            place = folder_meant(tree, file, values.get("path"), str(path))
            if place is None and split != "test":  # Ultralytics' own files name one, too
                raise UserError(f"{source.at((key,))}: {path}: no such folder; correct the path")
            if place is not None:
                yield place, split


def _masks_folder(folder: str, masks_dir: str, source: Source) -> str:
    parts = list(PurePosixPath(folder).parts)
    if "images" not in parts:
        raise UserError(
            f"{source.name}: {folder}: masks_dir takes the place of a folder `images`, and there is "
            "none in this path: call the folder of the pictures `images`"
        )
    last = len(parts) - 1 - parts[::-1].index("images")
    return "/".join([*parts[:last], *PurePosixPath(masks_dir).parts, *parts[last + 1 :]])


def _said(file: str, values: Mapping[str, Any], source: Source) -> Said:
    names = class_names(values.get("names"), source.name)
    mapping = _mapping(values.get("label_mapping") or {}, source)
    said: dict[Raw, str] = {}
    for train, name in names.items():
        own = () if train in mapping else (train,)
        for raw in (*(raw for raw, meant in mapping.items() if meant == train), *own):
            said[raw] = name
    if strange := sorted({t for t in mapping.values() if t is not None} - names.keys()):
        raise UserError(f"{source.name}: label_mapping: {strange[0]} is no number of names; add it")
    ignored = {raw for raw, meant in mapping.items() if meant is None}
    return Said(said, frozenset((ignored | {_IGNORED}) - said.keys()), source=file, merges=True)


def _mapping(given: Any, source: Source) -> dict[int, int | None]:
    """Value in a file -> number of a class, None for ignored; no file holds values below zero."""
    try:
        meant = {
            int(raw): None if train in ("ignore_label", _IGNORED) else int(train)
            for raw, train in given.items()
        }
    except (AttributeError, TypeError, ValueError):
        raise UserError(
            f"{source.name}: label_mapping: expected `value: number of a class` or "
            "`value: ignore_label` lines"
        ) from None
    return {raw: train for raw, train in meant.items() if raw >= 0}
