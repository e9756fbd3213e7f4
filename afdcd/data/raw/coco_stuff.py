"""COCO-Stuff-164K: COCO's 2017 images with one PNG of 182 stuff and thing classes each.

Layouts: nightrome/cocostuff@876a7db and detectron2 (`stuffthingmaps/`), the `images/` and
`annotations/` that kazuto1011/deeplab-pytorch@4219467 and open-mmlab/mmsegmentation make of it.
"""

from pathlib import Path

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Numbers
from afdcd.data.catalog.splits import Split
from afdcd.data.catalog.train_ids import IGNORE, identity
from afdcd.data.pairs import Layout, Pair, counted, in_folder, pair_up
from afdcd.data.raw.folders import first_below, folders_in, pictures, refusal

_FOLDERS: dict[Split, str] = {"train": "train2017", "val": "val2017"}
_TRAIN_IDS = "_labelTrainIds"
_TOPS = (
    "",
    "coco/",
    "cocostuff/",
    "coco_stuff/",
    "coco_stuff164k/",
    "dataset/",
    "cocostuff/dataset/",
)
_KINDS = (
    ("images/", "annotations/"),
    ("", "stuffthingmaps/"),
    ("images/", "stuffthingmaps/"),
    ("", "annotations/stuffthingmaps/"),
)
_PLACES = ("", "images/", "stuffthingmaps/", "annotations/")
_FOREIGN = {
    "cocostuff-10k": "the 10k edition (.mat, numbered from 1) is another data set",
    "pixelmaps": "pixelmaps of the 2017 challenge hold stuff only, all things are one class",
}
_GET = (
    "get train2017.zip and val2017.zip from cocodataset.org and stuffthingmaps_trainval2017.zip "
    "from github.com/nightrome/cocostuff, and give the folder that they were unpacked into"
)


def find_coco_stuff(source: Path, dataset: Dataset) -> Layout:
    """Images and labels of train2017 and val2017; `dataset` says how the classes are counted.

    Raises:
        UserError: no such folders, labels of another edition, or only 171 train ids where all 182
            values are asked for.
    """
    for top in _TOPS:
        for kind in _KINDS:
            images, labels = (f"{top}{name}" for name in kind)
            if _has_splits(source, images) and _has_splits(source, labels):
                return _layout(source, dataset, images, labels)
    looked_for = [f"{name}{below}" for below in _FOLDERS.values() for name in _PLACES]
    raise refusal(source, "COCO-Stuff-164K", looked_for, f"{_foreign(source)}{_GET}")


def _has_splits(source: Path, folder: str) -> bool:
    return bool(first_below(source, [f"{folder}{split}" for split in _FOLDERS.values()]))


def _layout(source: Path, dataset: Dataset, images: str, labels: str) -> Layout:
    found = {split: _labels(source, f"{labels}{below}") for split, below in _FOLDERS.items()}
    raw, trains = ({split: both[i] for split, both in found.items()} for i in (0, 1))
    lost = any(trains[split] and not raw[split] for split in _FOLDERS)
    converted = lost and all(trains[split] or not raw[split] for split in _FOLDERS)
    ending = _TRAIN_IDS if converted else ""
    pairs: list[Pair] = []
    for split, below in _FOLDERS.items():
        pairs += pair_up(
            split,
            pictures(source, f"{images}{below}"),
            (trains if converted else raw)[split],
            in_folder(f"{images}{below}", ".jpg"),
            in_folder(f"{labels}{below}", f"{ending}.png"),
        )
    name = f"COCO-Stuff-164K, {labels}*{ending}.png, {counted(pairs)}"
    encoding = _train_ids(source / labels, dataset) if converted else _raw(dataset)
    return Layout(source, name, encoding, tuple(pairs))


def _labels(source: Path, folder: str) -> tuple[dict[str, str], dict[str, str]]:
    """The raw labels, and what mmsegmentation's converter wrote beside them."""
    found = pictures(source, folder, suffixes=(".png",))
    trains = {key: path for key, path in found.items() if key.endswith(_TRAIN_IDS)}
    raw = {key: path for key, path in found.items() if key not in trains}
    return raw, {key.removesuffix(_TRAIN_IDS): path for key, path in trains.items()}


def _foreign(source: Path) -> str:
    """Why what lies here is another edition; empty where nothing tells."""
    names = [source.name, *folders_in(source, ""), *folders_in(source, "annotations")]
    for part, reason in _FOREIGN.items():
        if any(part in name for name in names):
            return f"{reason}; "
    return ""


def _raw(dataset: Dataset) -> Numbers:
    stuff_only = "a stuff-only pixelmap (183 = any thing): use stuffthingmaps_trainval2017.zip"
    off_by_one = "numbered from 1 as in the 10k edition: use stuffthingmaps_trainval2017.zip"
    reasons = {182: off_by_one, 183: stuff_only}
    return Numbers("COCO-Stuff, class - 1, 255 = unlabeled", dataset.raw_to_train, reasons)


def _train_ids(folder: Path, dataset: Dataset) -> Numbers:
    """The 171 classes of open-mmlab/mmsegmentation's converter; what it left out is gone."""
    if dataset.absent:
        raise UserError(
            f"{folder}: holds *{_TRAIN_IDS}.png only, 171 classes, and {dataset.name} counts all 182 "
            "raw values: put the PNG of stuffthingmaps_trainval2017.zip beside them"
        )
    table = identity(171) | {IGNORE: dataset.raw_to_train[IGNORE]}
    return Numbers("COCO-Stuff labelTrainIds, 0..170, 255 = unlabeled", table)
