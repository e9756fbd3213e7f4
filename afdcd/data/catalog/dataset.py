"""What a data set is: classes, colours, raw label values, published counts, protocols."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from afdcd.data.catalog.splits import UNLABELLED, Role, Split
from afdcd.data.catalog.train_ids import IGNORE, RGB


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
