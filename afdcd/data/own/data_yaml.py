"""YAML files that describe a data set: finding them, and reading names and folders as they are meant.

`path:` is often a folder on somebody else's disk, and `../train/images` relative to nothing: what
counts is where the described folders lie below the file.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from afdcd.config import Source, UserError
from afdcd.data.own.tree import Tree, nfc

_KNOWN = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
_DEPTH = 1  # folders that may lie above: a zip that holds one folder


def yaml_files(tree: Tree) -> Iterator[tuple[str, dict[str, Any], Source]]:
    """Mappings in YAML files near the root, `data.yaml` first.

    Raises:
        UserError: `data.yaml` cannot be read; other files that cannot are none of a data set.
    """
    near = [file for file in tree.files if file.count("/") <= _DEPTH]
    files = [file for file in near if file.lower().endswith((".yaml", ".yml"))]
    for file in sorted(files, key=lambda f: (f.rpartition("/")[2].lower() not in _KNOWN, f)):
        try:
            yield file, *tree.yaml(file)
        except UserError:
            if file.rpartition("/")[2].lower() in _KNOWN:
                raise


def folder_meant(tree: Tree, file: str, prefix: object, path: str) -> str | None:
    """The folder or file of `tree` that `path` in the YAML `file` means; `prefix` is its `path:`.

    Parts of `prefix` that are not there are dropped, of `path` only where it is absolute.
    """
    before = _parts(prefix) if isinstance(prefix, str) else []
    parts = [*before, *_parts(path)]
    droppable = len(parts) - 1 if _ABSOLUTE.match(path) else len(before)
    home = file.rpartition("/")[0]
    for base in dict.fromkeys((home, "")):
        for start in range(droppable + 1):
            place = "/".join(part for part in (base, *parts[start:]) if part)
            if place in tree.folders or place in tree.files:
                return place
    return None


def class_names(given: Any, where: str) -> dict[int, str]:
    """Number -> name, from a list or a mapping.

    Raises:
        UserError: neither of the two.
    """
    pairs = dict(enumerate(given)) if isinstance(given, list) else given
    try:
        names = {int(number): word(name) for number, name in pairs.items()}
    except (AttributeError, TypeError, ValueError):
        names = {}
    if not names:
        raise UserError(f"{where}: no names of classes; write them as 0: road, 1: car")
    return dict(sorted(names.items()))


def word(value: object) -> str:
    """A name as it was written: `no` is read as a word, a number and `true` as themselves."""
    if isinstance(value, list | dict):
        raise TypeError(value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else nfc(str(value).strip())


def _parts(path: str) -> list[str]:
    parts = PurePosixPath(nfc(path.strip().replace("\\", "/"))).parts
    return [part for part in parts if part not in ("..", ".", "/")]
