"""Where a copy of Pascal VOC keeps its images, its labels of three kinds, and its lists."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from afdcd.data.catalog.splits import Split
from afdcd.data.pairs import Pair, label_files
from afdcd.data.raw.folders import first_below, keys_in, pictures

DEVKITS = (
    ".",
    "VOC2012",
    "VOCdevkit/VOC2012",
    "TrainVal/VOCdevkit/VOC2012",
    "VOCtrainval_11-May-2012/VOCdevkit/VOC2012",
    "VOCAug",
    "VOCaug",
)
SBDS = (
    "benchmark_RELEASE/dataset",
    "benchmark/benchmark_RELEASE/dataset",
    "VOCaug/dataset",
    "VOCdevkit/VOCaug/dataset",
)
LISTS = ("ImageSets/Segmentation", "ImageSets/SegmentationAug", "list/voc", "list", "lists", ".")


@dataclass(frozen=True)
class Tree:
    """Where each key's files are; label folders in the order in which they are asked.

    SegmentationClass comes first: its labels have the ignored borders that SBD's lack, and
    mmsegmentation's SegmentationClassAug is SBD's as it is.
    """

    root: Path
    images: dict[str, str]
    labels: dict[str, dict[str, str]]
    devkit: str

    @staticmethod
    def of(source: Path, devkit: str) -> "Tree":
        prefix = "" if devkit == "." else f"{devkit}/"
        sbd = first_below(source, SBDS)
        images = pictures(source, f"{prefix}JPEGImages")
        if sbd:
            images = {**pictures(source, f"{sbd}/img"), **images}
        aug = first_below(source, (f"{prefix}SegmentationClassAug", "SegmentationClassAug"))
        labels = {
            f"{prefix}SegmentationClass": pictures(source, f"{prefix}SegmentationClass"),
            aug or "": pictures(source, aug) if aug else {},
            f"{sbd}/cls": pictures(source, f"{sbd}/cls", suffixes=(".mat",)) if sbd else {},
        }
        return Tree(source, images, {k: found for k, found in labels.items() if found}, prefix)

    def keys(self, *names: str) -> list[str] | None:
        """Those of the first list that exists under one of the names."""
        for name in names:
            for folder in LISTS:
                for top in dict.fromkeys((self.devkit, "")):
                    listing = self.root / top / folder / f"{name}.txt"
                    if listing.is_file():
                        return keys_in(listing)
        return None

    def pair(self, split: Split, key: str) -> Pair:
        """Where there is no file, the one that should exist."""
        label = next((found[key] for found in self.labels.values() if key in found), None)
        folders = list(self.labels) or [f"{self.devkit}SegmentationClass"]
        folder = folders[0 if split == "val" else -1]
        missing = f"{folder}/{key}{'.mat' if folder.endswith('/cls') else '.png'}"
        image = self.images.get(key, f"{self.devkit}JPEGImages/{key}.jpg")
        return Pair(split, key, image, label or missing)

    def describe(self, pairs: Iterable[Pair]) -> str:
        used = {label.rpartition("/")[0] for label in label_files(pairs)}
        return " and ".join(folder for folder in self.labels if folder in used) or "nowhere"
