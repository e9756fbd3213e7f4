"""Published scores of distilled students, to stand beside those of an arena.

Each belongs to one data set, pair and start (ImageNet weights or random ones), and to the split and the
recipe of its source; MasKD's recipe differs (weight decay 5e-4, learning rate down to 1e-4). SegFormer's
rows are left out, for its encoder is none of ours.
"""

from dataclasses import dataclass

CIRKD = "README of winycg/CIRKD@2d8ad0f"
MASKD = "segmentation/README of hunto/MasKD@b5af34f"
MGD = "README of yzd-v/MGD@2c9da0b, mmseg, crop 512x512"
AFDCD = "README of OSVAI/Af-DCD@5b086a7"
SCRATCH = "Af-DCD supplement, table 1"
RESNET101 = "deeplabv3-resnet101"
SPLITS = {"camvid": "test"}  # of a data set's figures, where that is not val
_OF = {"none": CIRKD, "kd": AFDCD, "skd": CIRKD, "ifvd": CIRKD, "cwd": CIRKD, "cirkd": CIRKD}
_SOURCES = {**_OF, "maskd": MASKD, "afdcd": AFDCD}

# fmt: off
# Data set, student -> per cent; the teacher is DeepLabV3-ResNet-101, both begin with ImageNet weights.
_IMAGENET: dict[tuple[str, str], dict[str, float]] = {
    ("cityscapes", "deeplabv3-resnet18"): {
        "none": 74.21, "skd": 75.42, "ifvd": 75.59, "cwd": 75.55, "cirkd": 76.38, "maskd": 77.00,
        "afdcd": 77.03},
    ("cityscapes", "deeplabv3-mobilenetv2"): {
        "none": 73.12, "skd": 73.82, "ifvd": 73.50, "cwd": 74.66, "cirkd": 75.42, "maskd": 75.26,
        "afdcd": 76.43},
    ("cityscapes", "pspnet-resnet18"): {"none": 72.55, "cirkd": 74.73, "maskd": 75.34},
    ("voc", "deeplabv3-resnet18"): {
        "none": 73.21, "skd": 73.51, "ifvd": 73.85, "cwd": 74.02, "cirkd": 74.50, "afdcd": 76.25},
    ("voc", "pspnet-resnet18"): {
        "none": 73.33, "skd": 74.07, "ifvd": 73.54, "cwd": 73.99, "cirkd": 74.78, "afdcd": 76.14},
    ("camvid", "deeplabv3-resnet18"): {
        "none": 66.92, "skd": 67.46, "ifvd": 67.28, "cwd": 67.71, "cirkd": 68.21, "afdcd": 69.27},
    ("camvid", "pspnet-resnet18"): {
        "none": 66.73, "skd": 67.83, "ifvd": 67.61, "cwd": 67.92, "cirkd": 68.65, "afdcd": 69.48},
    ("ade20k", "deeplabv3-resnet18"): {"none": 33.91, "kd": 34.88, "cirkd": 35.41, "afdcd": 36.21},
    ("coco_stuff", "deeplabv3-resnet18"): {"none": 32.60, "kd": 32.88, "cirkd": 33.11, "afdcd": 34.02},
}
# Of which the student alone begins with random weights.
_FROM_SCRATCH = {
    ("cityscapes", "deeplabv3-resnet18"): {
        "none": 65.37, "skd": 67.08, "ifvd": 65.96, "cwd": 67.74, "cirkd": 68.18, "maskd": 73.95,
        "afdcd": 73.76},
}
# fmt: on
# The teacher is PSPNet-ResNet-101.
_OF_PSPNET = {
    ("cityscapes", "pspnet-resnet18"): {"none": 69.85, "mgd": 73.63},
    ("cityscapes", "deeplabv3-resnet18"): {"none": 73.20, "mgd": 76.31},
}


@dataclass(frozen=True)
class Figure:
    """A published score, as a share; `split` is where it was measured."""

    value: float
    split: str
    source: str


def figure_of(
    dataset: str, teacher: str, student: str, method: str, *, pretrained: bool
) -> Figure | None:
    """The published score of a method; None where none is known for exactly this.

    Args:
        teacher, student: as `ModelConfig.name` has them.
        pretrained: whether the student began with ImageNet weights.
    """
    table, source = _IMAGENET, _SOURCES.get(method, "")
    if teacher == "pspnet-resnet101" and pretrained:
        table, source = _OF_PSPNET, MGD
    elif teacher == RESNET101 and not pretrained:
        table, source = _FROM_SCRATCH, SCRATCH
    elif teacher != RESNET101:
        return None
    per_cent = table.get((dataset, student), {}).get(method)
    return Figure(per_cent / 100, SPLITS.get(dataset, "val"), source) if per_cent else None
