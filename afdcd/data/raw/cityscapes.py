"""Cityscapes: `{type}/{split}/{city}/{city}_{sequence}_{frame}_{type}`, labels in three encodings.

Layout: mcordts/cityscapesScripts@0bcc4a7 README; also the two downloads unpacked into a folder
each, datumaro's `imgsFine/leftImg8bit`, and all files in one folder without split and city.
"""

from pathlib import Path

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Numbers
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.catalog.train_ids import IGNORE, identity
from afdcd.data.pairs import Layout, Pair, counted, pair_up, unlabelled
from afdcd.data.raw.folders import by_key, files_in, first_below, refusal

_IMAGES = {
    "": "leftImg8bit",
    ", zips in own folders": "leftImg8bit_trainvaltest/leftImg8bit",
    ", imgsFine": "imgsFine/leftImg8bit",
}
_LABELS = ("gtFine", "gtFine_trainvaltest/gtFine")
_BELOW = ("", "cityscapes", "Cityscapes")
_IMAGE = "_leftImg8bit"
_KINDS = ("labelIds", "labelTrainIds", "instanceIds")

_VAL_CITIES = ("frankfurt", "lindau", "munster")
_TEST_CITIES = ("berlin", "bielefeld", "bonn", "leverkusen", "mainz", "munich")

_GET = (
    "get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from cityscapes-dataset.com "
    "(registration) and give the folder that they were unpacked into"
)
_INSTANCES = "an instanceIds file (1000 times the class and more): take the _labelIds.png beside it"


def find_cityscapes(source: Path, dataset: Dataset) -> Layout:
    """Images of all splits; labels of train and val only.

    What lies in `gtFine/test` says where the car's bonnet is and no more: it must never score.

    Raises:
        UserError: no folder of images or of labels, or no labels of one kind for each split.
    """
    places = [
        (f"{top}/{below}".lstrip("/"), name) for top in _BELOW for name, below in _IMAGES.items()
    ]
    variant = next(((p, name) for p, name in places if (source / p).is_dir()), None)
    gt = first_below(source, (f"{top}/{below}".lstrip("/") for top in _BELOW for below in _LABELS))
    if variant is None or gt is None:
        raise refusal(source, "Cityscapes", [*_IMAGES.values(), *_LABELS], _GET)
    images = {
        split: by_key(files, _IMAGE) for split, files in _by_split(source, variant[0]).items()
    }
    if not any(images.values()):
        raise UserError(f"{source / variant[0]}: holds no *{_IMAGE}.png; {_GET}")
    labels = _by_split(source, gt)
    kind = _kind(source / gt, images, labels, dataset.unlabelled)
    pairs: list[Pair] = []
    for split in SPLITS:
        if split in dataset.unlabelled:
            pairs += unlabelled(split, images[split])
        else:
            answers = by_key(labels[split], f"_gtFine_{kind}", (".png",))
            pairs += _paired(split, images[split], answers, variant[0], gt, kind)
    name = f"Cityscapes, {kind} PNG, {counted(pairs)}{variant[1]}"
    return Layout(source, name, _encoding(kind, dataset), tuple(pairs))


def _by_split(source: Path, folder: str) -> dict[Split, list[tuple[str, str]]]:
    """Files per split: from the folders of the splits, and from `folder` itself by their city."""
    found = {split: list(files_in(source, f"{folder}/{split}", depth=1)) for split in SPLITS}
    for name, path in files_in(source, folder):
        found[_split_of(name.partition("_")[0])].append((name, path))
    return found


def _split_of(city: str) -> Split:
    return "val" if city in _VAL_CITIES else "test" if city in _TEST_CITIES else "train"


def _kind(
    folder: Path,
    images: dict[Split, dict[str, str]],
    labels: dict[Split, list[tuple[str, str]]],
    withheld: tuple[Split, ...],
) -> str:
    """The first kind of label that train and val both have, as far as they have images."""
    wanted = [split for split in SPLITS if split not in withheld and images[split]]
    for kind in _KINDS:
        ending = f"_gtFine_{kind}.png".lower()
        if all(any(name.lower().endswith(ending) for name, _ in labels[s]) for s in wanted):
            return kind
    kinds = ", ".join(f"*_gtFine_{kind}.png" for kind in _KINDS)
    raise UserError(
        f"{folder}: no kind of label for {' and '.join(wanted)} alike among {kinds}; {_GET}"
    )


def _paired(
    split: Split, images: dict[str, str], labels: dict[str, str], left: str, gt: str, kind: str
) -> list[Pair]:
    """What lacks its partner asks for it in the same place of the other tree."""

    def image_of(key: str) -> str:
        return f"{left}{_home(labels[key]).removeprefix(gt)}/{key}{_IMAGE}.png"

    def label_of(key: str) -> str:
        return f"{gt}{_home(images[key]).removeprefix(left)}/{key}_gtFine_{kind}.png"

    return pair_up(split, images, labels, image_of, label_of)


def _home(path: str) -> str:
    return path.rpartition("/")[0]


def _encoding(kind: str, dataset: Dataset) -> Numbers:
    ids = dataset.raw_to_train
    instances = dict.fromkeys(range(1000, 1 << 16), _INSTANCES)
    if kind == "labelIds":
        reason = "a labelTrainIds file (labelIds have no 255): use the _labelIds.png"
        return Numbers("Cityscapes labelIds", ids, {**instances, IGNORE: reason})
    if kind == "labelTrainIds":
        trains = identity(len(dataset.classes), IGNORE)
        reason = "a labelIds file in place of labelTrainIds: write it with csCreateTrainIdLabelImgs"
        lookalikes = {**instances, **dict.fromkeys(set(ids) - set(trains), reason)}
        return Numbers("Cityscapes labelTrainIds", trains, lookalikes)
    objects = {raw * 1000 + k: train for raw, train in ids.items() if raw for k in range(1000)}
    reason = "a labelTrainIds file in place of instanceIds: fetch gtFine again"
    return Numbers("Cityscapes instanceIds // 1000", {**ids, **objects}, {IGNORE: reason})
