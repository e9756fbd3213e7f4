"""YOLO polygons: `data.yaml` and a text file beside each picture's folder.

The raw value of a class is its index in `names`. As in Ultralytics' own semantic mode, what no
polygon covers is an extra class at the end; with a single class it is the first.
https://docs.ultralytics.com/datasets/segment
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from afdcd.config import UserError
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.images import PictureError
from afdcd.data.own.drawings.yolo import YoloAreas, outlines_of
from afdcd.data.own.entries import (
    Entry,
    Refusals,
    class_name,
    is_background,
    items_of,
    nothing_left,
    unlisted,
)
from afdcd.data.own.forms.yolo_lists import pictures_of
from afdcd.data.own.found import UNCOVERED, Found, Hints, Raw, Said
from afdcd.data.own.split_names import split_named
from afdcd.data.own.tree import Tree
from afdcd.data.places import Place, Written

_COMMON = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


def find_yolo(tree: Tree, hints: Hints) -> Found | None:
    marker = _marker(tree)
    if marker is None:
        return None
    file, content = marker
    names = _names(f"{tree.root / file}", content)
    refusals = Refusals()
    reader = _Labels(tree, names, refusals)
    entries = list(reader.entries(file, content))
    items = items_of(entries, refusals)
    if not reader.files and refusals.lines:
        raise nothing_left(tree, "label file of a YOLO set", refusals, f"correct {file}")
    if not reader.files:
        raise UserError(
            f"{tree.root / file}: no label file; they stand in labels/ beside images/, "
            "with the pictures' names and .txt"
        )
    if reader.boxes == reader.written:
        raise UserError(
            f"{tree.root / file}: all {reader.boxes} label files hold boxes (5 numbers a line): a "
            "set for detection cannot train a segmentation; export polygons"
        )
    if not items:
        remedy = f"mend the entries, or the folders that {file} names"
        raise nothing_left(tree, "picture of a YOLO set", refusals, remedy)
    return Found(
        form="YOLO polygons",
        items=items,
        said=Said(names=_with_background(names), source=file),
        encoding=YoloAreas,
        refused=refusals.lines,
        unlisted=unlisted(tree, (entry.path for entry in entries)),
    )


def _marker(tree: Tree) -> tuple[str, dict[str, Any]] | None:
    """The YAML that lists folders and names, nearest to the root; other YAML may lie about."""
    others = [file for file in tree.files if file.lower().endswith((".yaml", ".yml"))]
    for file in dict.fromkeys([*tree.named(*_COMMON), *sorted(others, key=_depth)]):
        try:
            content, _ = tree.yaml(file)
        except UserError:
            if PurePosixPath(file).name.lower() in _COMMON:
                raise
            continue
        lists = [content.get(key) for key in content if split_named(key)]
        if (
            {"names", "nc"} & set(content)
            and "masks_dir" not in content
            and any(isinstance(value, str | list) for value in lists)
        ):
            return file, content
    return None


def _depth(file: str) -> tuple[int, str]:
    return file.count("/"), file


def _names(file: str, content: dict[str, Any]) -> dict[int, str]:
    """Index -> name.

    Raises:
        UserError: none, no list or mapping of them, or another number than `nc` says.
    """
    given = content.get("names")
    try:
        pairs = given.items() if isinstance(given, dict) else enumerate(given or ())
        names = {int(index): class_name(name) for index, name in pairs}
    except (TypeError, ValueError):
        names = {}
    if not names or min(names) < 0 or isinstance(given, str):
        raise UserError(f"{file}: names: no class names; write `names: [car, tree]`")
    count = content.get("nc", len(names))
    if count != len(names):
        raise UserError(f"{file}: nc: {count!r}, but {len(names)} names; correct one of them")
    return dict(sorted(names.items()))


def _with_background(names: dict[int, str]) -> dict[Raw, str]:
    own = next(filter(is_background, names.values()), None)
    rest: dict[Raw, str] = {UNCOVERED: own or "background"}
    first = len(names) == 1 and own is None
    return rest | {**names} if first else {**names} | rest


class _Labels:
    """Label files, each read once for what would be told about it later, one by one.

    Attributes:
        files: label files that exist.
        written: those that hold something.
        boxes: those that hold boxes.
    """

    def __init__(self, tree: Tree, names: dict[int, str], refusals: Refusals) -> None:
        self.files = self.written = self.boxes = 0
        self._tree, self._names, self._refusals = tree, names, refusals
        self._present = frozenset(tree.files)

    def entries(self, file: str, content: dict[str, Any]) -> Iterator[Entry]:
        seen: Counter[tuple[str, Split]] = Counter()
        for key in content:
            split = split_named(key)
            if split not in SPLITS or content[key] is None:
                continue
            for picture in pictures_of(self._tree, file, key, content, self._refusals):
                seen[picture, split] += 1
                label = self._label(picture) if seen[picture, split] == 1 else None
                if label is not None:
                    yield Entry(picture, picture, label, split, f"{key} of {file}")

    def _label(self, picture: str) -> Place | None:
        """The label file, or in words that there is none; None where it cannot be taken."""
        file = label_of(picture)
        if self._tree.leads_out(file):
            self._refusals.add(file, "", "a link out of the source folder: copy the file")
            return None
        if file not in self._present:
            return Written(f"{file} (no such file: all background)")
        self.files += 1
        data = self._tree.root.joinpath(file).read_bytes()
        self.written += bool(data.strip())
        try:
            outlines, faults = outlines_of(data)
        except PictureError as reason:
            self.boxes += str(reason).startswith("boxes")
            self._refusals.add(file, "", str(reason))
            return None
        unknown = sorted({index for index, _ in outlines} - set(self._names))
        if unknown:
            self._refusals.add(file, "", f"class {unknown[0]} has no name: add it to names")
            return None
        for number, fault in faults:
            self._refusals.add(file, f"line {number}", f"{fault}: correct it or take it out")
        return file


def label_of(picture: str) -> str:
    """The last `/images/` of the path becomes `/labels/`; without one the label is beside it."""
    head, images, tail = f"/{picture}".rpartition("/images/")
    path = f"{head}/labels/{tail}" if images else f"/{picture}"
    return str(PurePosixPath(path[1:]).with_suffix(".txt"))
