"""Hugging Face data sets: Parquet files with a column of pictures and one of label pictures.

The raw value of a class is the number in its label. `id2label.json` names them; where there is none
only a person can. Read with pyarrow alone, for `datasets` would run scripts.
https://huggingface.co/docs/hub/datasets-image
"""

import re
from collections import Counter, defaultdict
from pathlib import PurePosixPath

from afdcd.config import UserError
from afdcd.data.formats import is_picture
from afdcd.data.own.entries import NotTakenError, Refusals, class_name, nothing_left
from afdcd.data.own.forms.hf_columns import Table, image_columns, pair_of
from afdcd.data.own.found import Found, Hints, Item, Raw, Said
from afdcd.data.own.split_names import split_named, split_of
from afdcd.data.own.tree import Tree
from afdcd.data.places import Cell

_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d+)-of-(?P<count>\d+)")
_NO_CLASS = frozenset({"unlabeled", "unlabelled", "ignore", "ignored", "void"})
_IGNORED = 255


def find_hf_parquet(tree: Tree, hints: Hints) -> Found | None:
    files = [file for file in tree.files if file.lower().endswith(".parquet")]
    refusals = Refusals()
    tables = _tables(tree, files, refusals)
    if files and not tables and not any(map(is_picture, tree.files)):
        raise nothing_left(tree, "Parquet file", refusals, "fetch the set again")
    if not any(image_columns(table) for table in tables.values()):
        return None
    image, label = pair_of(f"{tree.root / next(iter(tables))}", [*tables.values()], hints.columns)
    rows: Counter[str] = Counter()
    items: list[Item] = []
    for file, table in tables.items():
        fault = table.fault(image, label)
        if fault:
            refusals.add(file, "", fault)
            continue
        group = _group(file)
        split = split_named(PurePosixPath(group).name) or split_of(file)
        for row in range(table.rows):
            key = f"{group}_{rows[group] + row}"
            items.append(Item(key, Cell(file, row, image), Cell(file, row, label), split))
        rows[group] += table.rows
    if not items:
        raise nothing_left(tree, "row with pictures", refusals, "export the set with its pictures")
    said, remarks = _said(tree)
    return Found(
        form="Hugging Face Parquet",
        items=tuple(items),
        said=said,
        refused=refusals.lines,
        remarks=(*remarks, *_incomplete(files)),
    )


def _tables(tree: Tree, files: list[str], refusals: Refusals) -> dict[str, Table]:
    tables = {}
    for file in files:
        try:
            tables[file] = Table.of(tree.root / file)
        except NotTakenError as reason:
            refusals.add(file, "", str(reason))
    return tables


def _group(file: str) -> str:
    """What the keys of a file's rows begin with: `train` for `data/train-00000-of-00002.parquet`.

    A file of another name stands in a folder of its split, as the hub's own conversion has it.
    """
    path = PurePosixPath(file)
    shard = _SHARD.match(path.stem)
    name = shard["split"] if shard else path.stem
    folders = [part for part in path.parts[:-1] if part != "data"]
    if not shard and not split_named(name) and folders and split_named(folders[-1]):
        name = folders.pop()
    return "/".join([*folders, name])


def _incomplete(files: list[str]) -> list[str]:
    """Remarks on shards that are missing by their own names."""
    found: dict[tuple[str, int], set[int]] = defaultdict(set)
    for file in files:
        shard = _SHARD.match(PurePosixPath(file).stem)
        if shard:
            found[_group(file), int(shard["count"])].add(int(shard["number"]))
    return [
        f"{group}: {len(numbers)} of {count} files are here"
        for (group, count), numbers in found.items()
        if len(numbers) < count
    ]


def _said(tree: Tree) -> tuple[Said, list[str]]:
    """What `id2label.json` says; 255 is ignored unless it names a class, 0 never is by itself."""
    found = [file for file in tree.files if file.lower().endswith("id2label.json")]
    file = next(iter(tree.named("id2label.json") or found), None)
    if file is None:
        return Said(), []
    names = _names(f"{tree.root / file}", tree.json(file))
    named = str(names.get(_IGNORED, "ignore"))
    if named.strip().lower() not in _NO_CLASS:
        return Said(names=names, source=file), []
    why = f"is named {named!r}" if _IGNORED in names else f"is not in {file}"
    names.pop(_IGNORED, None)
    said = Said(names=names, ignored=frozenset({_IGNORED}), source=file)
    return said, [f"255 {why}: ignored, as Hugging Face's losses do"]


def _names(file: str, content: object) -> dict[Raw, str]:
    try:
        if not isinstance(content, dict) or not content:
            raise ValueError
        names = {int(value): class_name(name) for value, name in content.items()}
        if min(names) < 0 or len(names) < len(content):
            raise ValueError
    except ValueError:
        raise UserError(
            f'{file}: no numbers with names; write {{"0": "ground", "1": "car"}}'
        ) from None
    return {**dict(sorted(names.items()))}
