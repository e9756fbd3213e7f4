"""ADE20K: the challenge edition (SceneParse150), detectron2's copy of it, and the full edition.

Layouts: CSAILVision/sceneparsing@e202229 (`ADEChallengeData2016/`, `release_test/`), detectron2's
`annotations_detectron2/`, CSAILVision/ADE20K@df5ee67 (`ADE20K_2016_07_26/`, `ADE20K_2021_17_01/`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Numbers
from afdcd.data.catalog.splits import Split
from afdcd.data.catalog.tables import ade20k_full_indices
from afdcd.data.catalog.train_ids import IGNORE, identity
from afdcd.data.pairs import Layout, Pair, counted, in_folder, pair_up, unlabelled
from afdcd.data.raw.encodings import AdeFull
from afdcd.data.raw.folders import by_key, files_in, first_below, pictures, refusal

_FOLDERS: dict[Split, str] = {"train": "training", "val": "validation"}
_CHALLENGE = (
    ".",
    "ADEChallengeData2016",
    "ade/ADEChallengeData2016",
    "data/ade/ADEChallengeData2016",
)
_TESTS = ("release_test/testing", "images/testing", "testing")
_FULL = {
    "ADE20K_2021_17_01/images/ADE": "2021",
    "images/ADE": "2021",
    "ADE20K_2016_07_26/images": "2016",
    "images": "2016",
    "dataset": "its folders",
    ".": "its folders",
}
_GET = (
    "get ADEChallengeData2016.zip from data.csail.mit.edu/places/ADEchallenge, or the full ADE20K "
    "from ade20k.csail.mit.edu, and give the folder that it was unpacked into"
)


def find_ade20k(source: Path, dataset: Dataset) -> Layout:
    """The challenge edition where there is one, else detectron2's labels, else the full edition.

    Raises:
        UserError: none of them is there.
    """
    for top in _CHALLENGE:
        prefix = "" if top == "." else f"{top}/"
        for labels in ("annotations", "annotations_detectron2"):
            if _has_splits(source, f"{prefix}images") and _has_splits(source, f"{prefix}{labels}"):
                return _challenge(source, dataset, prefix, labels)
    for top, edition in _FULL.items():
        if _has_splits(source, top):
            layout = _full(source, top, edition)
            if layout is not None:
                return layout
    looked_for = [
        f"{top}/{kind}/{split}".removeprefix("./")
        for top in _CHALLENGE[:2]
        for kind in ("images", "annotations", "annotations_detectron2")
        for split in _FOLDERS.values()
    ]
    full = [f"{top}/training".removeprefix("./") for top in _FULL]
    raise refusal(source, "ADE20K", [*looked_for, *full], _GET)


def _has_splits(source: Path, folder: str) -> bool:
    return bool(first_below(source, [f"{folder}/{split}" for split in _FOLDERS.values()]))


def _challenge(source: Path, dataset: Dataset, prefix: str, labels: str) -> Layout:
    pairs: list[Pair] = []
    for split, folder in _FOLDERS.items():
        images, answers = f"{prefix}images/{folder}", f"{prefix}{labels}/{folder}"
        pairs += pair_up(
            split,
            pictures(source, images),
            pictures(source, answers),
            in_folder(images, ".jpg"),
            in_folder(answers, ".png"),
        )
    tests = first_below(source, [f"{at}{test}" for at in (prefix, "") for test in _TESTS])
    if tests:
        pairs += unlabelled("test", pictures(source, tests))
    encoding = _shifted(dataset) if labels.endswith("detectron2") else _numbered(dataset)
    name = f"ADE20K challenge edition, {labels}/, {counted(pairs)}"
    return Layout(source, name, encoding, tuple(pairs))


def _numbered(dataset: Dataset) -> Numbers:
    reason = (
        "classes from 0 with 255 for ignored, detectron2's encoding in a folder of the challenge: "
        "name it annotations_detectron2, or take the original annotations"
    )
    return Numbers("ADE20K challenge, 0 = other, 1..150", dataset.raw_to_train, {IGNORE: reason})


def _shifted(dataset: Dataset) -> Numbers:
    """Already 0..149 and 255: taking one off again would move every class."""
    classes = len(dataset.classes)
    reason = "classes from 1, the challenge's encoding: name the folder annotations"
    full = "the 847 classes of ade20k_full: take the labels of the challenge edition"
    lookalikes = {classes: reason, **dict.fromkeys(range(classes + 1, 847), full)}
    return Numbers(
        "ADE20K detectron2, 0..149, 255 = ignored", identity(classes, IGNORE), lookalikes
    )


def _full(source: Path, top: str, edition: str) -> Layout | None:
    """None where no label of this edition lies beside an image."""
    pairs: list[Pair] = []
    seen = 0
    for split, below in _FOLDERS.items():
        # `<split>`, `<split>/<scene>` and `<split>/<letter>/<scene>`; parts, instance masks and
        # attributes lie beside the two files that count.
        files = list(files_in(source, below if top == "." else f"{top}/{below}", depth=2))
        images = by_key(files, suffixes=(".jpg", ".jpeg"))
        labels = by_key(files, "_seg", (".png",))
        seen += len(labels)
        homes = {key: path.rpartition("/")[0] for key, path in {**images, **labels}.items()}
        pairs += pair_up(split, images, labels, _beside(homes, ".jpg"), _beside(homes, "_seg.png"))
    name = f"ADE20K full edition ({edition}), its 150 challenge classes, {counted(pairs)}"
    encoding = AdeFull("ADE20K full, R // 10 * 256 + G", ade20k_full_indices())
    return Layout(source, name, encoding, tuple(pairs)) if seen else None


def _beside(homes: Mapping[str, str], ending: str) -> Callable[[str], str]:
    return lambda key: f"{homes[key]}/{key}{ending}"
