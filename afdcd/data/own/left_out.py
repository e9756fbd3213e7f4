"""Forms that are known and not read, each with the way round: asked when no form is recognised."""

import re
from pathlib import PurePosixPath

from afdcd.config import UserError
from afdcd.data.own.tree import LARGEST_JSON, Tree, unpacking
from afdcd.text import byte_count

_HEAD = 64 * 2**10  # bytes of a file in which it says what it is
_NEAR = 2  # folders that may lie above such a file
_LOOKS = 8  # files of a kind that are opened

_BRUSH = re.compile(r"task-\d+-annotation-\d+-by-.*\.png", re.IGNORECASE)
_JSON = (
    (re.compile(r'"_via_\w+"|"shape_attributes"'), "VGG Image Annotator's JSON", "export COCO"),
    (re.compile(r'"data_row"|"Labeled Data"'), "Labelbox's JSON", "export COCO or masks"),
    (re.compile(r'"slots"|darwin\.v7labs'), "Darwin's (V7's) JSON", "export COCO or semantic masks"),
    (re.compile(r'"(annotations|completions)"\s*:\s*\[\s*\{.*"result"', re.DOTALL),
     "Label Studio's JSON", "export COCO"),
)  # fmt: skip
_VOLUMES = {
    (".nii", ".nii.gz", ".nrrd", ".dcm", ".mha"): "medical volumes",
    (".tfw", ".tif.aux.xml", ".geotiff", ".vrt"): "GeoTIFF with its place on the earth",
    (".npy", ".npz", ".mat", ".h5"): "arrays",
}


def left_out(tree: Tree) -> UserError | None:
    """What this source is, and what to export in its place; None where that is not known either."""
    for look in (_supervisely, _json, _cvat, _runs, _brush, _volumes, *_UNREAD):
        if said := look(tree):
            return UserError(f"{tree.root}: {said}")
    return None


def _supervisely(tree: Tree) -> str | None:
    drawn = any(PurePosixPath(file).parent.name == "ann" for file in _ending(tree, ".json"))
    if not (drawn and tree.named("meta.json")):
        return None
    return (
        "Supervisely's format (meta.json, ann/*.json), which is not read: export COCO or masks from "
        "it (its app `Export to COCO` or `Export as masks`)"
    )


def _json(tree: Tree) -> str | None:
    for file in _first(tree, ".json", ".ndjson"):
        head = _head(tree, file)
        for pattern, title, remedy in _JSON:
            if pattern.search(head):
                return f"{file}: {title}, which is not read: {remedy} there"
    return None


def _cvat(tree: Tree) -> str | None:
    for file in _first(tree, ".xml"):
        head = _head(tree, file)
        if "<annotations" in head and ("<task>" in head or "<image " in head or "<meta>" in head):
            return (
                f"{file}: CVAT's XML, which is not read: export `Segmentation mask` or COCO there"
            )
    return None


def _runs(tree: Tree) -> str | None:
    for file in _first(tree, ".csv"):
        header = _head(tree, file).partition("\n")[0].lower()
        if "encodedpixels" in header or re.search(r"\brle\b|segmentation", header):
            return (
                f"{file}: run lengths in a table, which do not say the size of their pictures, nor "
                "whether they count from 0 or 1, by rows or by columns: write them as PNG masks, one "
                "for each picture"
            )
    return None


def _brush(tree: Tree) -> str | None:
    for file in tree.files:
        if _BRUSH.fullmatch(PurePosixPath(file).name):
            return (
                f"{file}: Label Studio's brush masks, one file for each label and without the name "
                "of their picture: export COCO there"
            )
    return None


def _volumes(tree: Tree) -> str | None:
    for endings, title in _VOLUMES.items():
        if files := _ending(tree, *endings):
            return (
                f"{files[0]}: {title}, which are not read: save pictures as PNG, JPEG or plain TIFF "
                "and masks as 8-bit PNG, one file for each"
            )
    return None


def _large(tree: Tree) -> str | None:
    """No form looks far into a JSON that none of them could read."""
    for file in _first(tree, ".json"):
        if (size := (tree.root / file).stat().st_size) > LARGEST_JSON:
            return (
                f"{file}: {byte_count(size)}, at most {byte_count(LARGEST_JSON)} are read: split it, "
                "e.g. one file for each split"
            )
    return None


def _packed(tree: Tree) -> str | None:
    for file in tree.files:
        if command := unpacking(file):
            folder = tree.root / file.rpartition("/")[0]
            name = file.rpartition("/")[2]
            return f"{file}: an archive; unpack it first (`cd {folder} && {command} {name}`)"
    return None


def _linked(tree: Tree) -> str | None:
    for link in tree.leaving:
        return (
            f"{link}: a link out of the source folder, not followed: copy what it leads to, or give "
            "a folder above both"
        )
    return None


_UNREAD = (_large, _packed, _linked)


def _ending(tree: Tree, *endings: str) -> list[str]:
    return [file for file in tree.files if file.lower().endswith(endings)]


def _first(tree: Tree, *endings: str) -> list[str]:
    """A few files with such an ending near the root."""
    return [file for file in _ending(tree, *endings) if file.count("/") <= _NEAR][:_LOOKS]


def _head(tree: Tree, file: str) -> str:
    try:
        with (tree.root / file).open("rb") as stream:
            return stream.read(_HEAD).decode("utf-8", errors="replace")
    except OSError:
        return ""
