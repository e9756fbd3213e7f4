"""Pascal VOC 2012 with the 10582 train images of SBD: several trees, lists and label formats.

Layouts: the VOC devkit; DrSleep's SegmentationClassAug (gray or palette); SBD's own
`benchmark_RELEASE/dataset` (.mat); `VOCAug/` of winycg/CIRKD@dab64db; lists also as in
kazuto1011/deeplab-pytorch@4219467 and open-mmlab/mmsegmentation `voc_aug.py`.
"""

from collections.abc import Iterable
from pathlib import Path

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Colours, Encoding, Numbers
from afdcd.data.catalog.train_ids import IGNORE, identity
from afdcd.data.pairs import Layout, Pair, counted, label_files
from afdcd.data.raw.encodings import OrMat
from afdcd.data.raw.folders import first_readable, keys_in, refusal
from afdcd.data.raw.voc_tree import DEVKITS, LISTS, SBDS, Tree

_AUGMENTED = ("train_aug", "trainaug")

_GET = (
    "get VOCtrainval_11-May-2012.tar from host.robots.ox.ac.uk/pascal/VOC/voc2012, and for the "
    "10582 train images SegmentationClassAug.zip (DrSleep) or SBD's benchmark.tgz"
)


def find_voc(source: Path, dataset: Dataset) -> Layout:
    """The augmented train split where there is anything to make it from, and VOC's val.

    Raises:
        UserError: no devkit, no list to tell train from val, or a key that is in both.
    """
    devkit = next((d for d in DEVKITS if (source / d / "JPEGImages").is_dir()), None)
    if devkit is None:
        devkits = [f"{d}/JPEGImages".removeprefix("./") for d in DEVKITS]
        raise refusal(source, "Pascal VOC 2012", [*devkits, *SBDS], _GET)
    tree = Tree.of(source, devkit)
    train, origin = _train_keys(source, tree)
    val = tree.keys("val") or []
    both = sorted(set(train) & set(val))
    if both:
        raise UserError(
            f"{source}: {len(both)} images are both train and val, e.g. {', '.join(both[:5])}: "
            "take val off the train list (SBD's own val overlaps VOC's)"
        )
    pairs = [tree.pair("train", key) for key in sorted(train)]
    pairs += [tree.pair("val", key) for key in sorted(val)]
    pairs += [Pair("test", key, tree.images[key], None) for key in _test_keys(tree)]
    name = f"Pascal VOC 2012, {origin}, {counted(pairs)}, labels from {tree.describe(pairs)}"
    return Layout(
        source, name, _encoding(source, dataset, pairs), tuple(pairs), _unlisted(tree, pairs)
    )


def _train_keys(source: Path, tree: Tree) -> tuple[list[str], str]:
    """The augmented list, or the union that it was made from; and which of them it is."""
    listed = tree.keys(*_AUGMENTED)
    if listed is not None:
        return listed, "augmented list"
    val, official = tree.keys("val"), tree.keys("train")
    if official is None and val is not None:
        official = sorted(set(tree.keys("trainval") or ()) - set(val))
    added, origin = _added_keys(source, tree)
    if official is None or (added and val is None):
        raise _no_lists(source, tree)
    if not added:
        return official, "official train images only (no SegmentationClassAug, no SBD)"
    return sorted({*official, *added} - set(val or ())), f"official train and {origin} without val"


def _added_keys(source: Path, tree: Tree) -> tuple[set[str], str]:
    listed = tree.keys("aug")
    if listed is not None:
        return set(listed), "aug.txt"
    for folder, found in tree.labels.items():
        if folder.endswith("SegmentationClassAug"):
            return set(found), "SegmentationClassAug"
        if folder.endswith("/cls"):
            lists = [source / folder / ".." / f"{name}.txt" for name in ("train", "val")]
            keys = [key for listing in lists if listing.is_file() for key in keys_in(listing)]
            return set(keys or found), "SBD"
    return set(), ""


def _test_keys(tree: Tree) -> list[str]:
    """The test pictures come from a server of their own: a list without them says nothing."""
    return [key for key in sorted(tree.keys("test") or ()) if key in tree.images]


def _no_lists(source: Path, tree: Tree) -> UserError:
    places = ", ".join(f"{tree.devkit}{folder}/".replace("/./", "/") for folder in LISTS)
    return UserError(
        f"{source}: Pascal VOC without lists, so val cannot be told from train: looked for "
        f"train_aug.txt, trainaug.txt, train.txt and val.txt in {places}; copy ImageSets/ there from "
        "VOCtrainval_11-May-2012.tar"
    )


def _unlisted(tree: Tree, pairs: Iterable[Pair]) -> tuple[str, ...]:
    """Labels that no list names; most of VOC's 17125 images have no label and are none of these."""
    used = {pair.key for pair in pairs}
    labels = (
        path for found in tree.labels.values() for key, path in found.items() if key not in used
    )
    return tuple(sorted(labels))


def _encoding(source: Path, dataset: Dataset, pairs: Iterable[Pair]) -> Encoding:
    labels = label_files(pairs)
    first = first_readable(source, (label for label in labels if not label.endswith(".mat")))
    colours = {colour: train for train, colour in enumerate(dataset.palette)}
    colours[dataset.ignored_colour] = IGNORE
    pngs: Numbers | Colours = Numbers(
        "VOC class indices, 255 = border", dataset.raw_to_train, _luminances(colours)
    )
    if first is not None and first.mode in ("RGB", "RGBA"):
        pngs = Colours("VOC class colours", colours)
    if not any(label.endswith(".mat") for label in labels):
        return pngs
    return OrMat(pngs, Numbers("SBD .mat", identity(len(dataset.classes))))


def _luminances(colours: Iterable[tuple[int, int, int]]) -> dict[int, str]:
    """What the colours of the palette become in gray, as Pillow and OpenCV compute it."""
    reason = (
        "palette colours read as gray (2 -> 75, 15 -> 147, 255 -> 220): "
        "take the original palette PNG, or the gray SegmentationClassAug"
    )
    return dict.fromkeys((round(0.299 * r + 0.587 * g + 0.114 * b) for r, g, b in colours), reason)
