"""Labels of one edition of a data set as those of another: by raw values, or by the classes' names."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.catalog.train_ids import IGNORE, identity


@dataclass(frozen=True)
class Translation:
    """What the labels of a data set mean to a network that knows another edition of it.

    Attributes:
        table: train id of the data -> train id of the network.
        absent: train ids of the network that no label holds.
    """

    table: dict[int, int]
    absent: frozenset[int]

    def __call__(self, labels: Int64[Tensor, "*shape"]) -> Int64[Tensor, "*shape"]:
        if all(train == other for train, other in self.table.items()):
            return labels
        lookup = torch.full((256,), IGNORE)
        lookup[list(self.table)] = torch.tensor(list(self.table.values()))
        return lookup.to(labels.device)[labels]


def translation(data: Dataset, known: Dataset) -> Translation:
    """The labels of `data` as those of `known`, whose classes a network predicts.

    So a network with COCO-Stuff's 182 outputs is scored on data prepared with the 171 classes that
    occur: whatever else it predicts is wrong. Published editions share their raw values; in data sets
    that people bring the same class has the same name.

    Raises:
        UserError: `data` has a class that `known` has not.
    """
    if data.classes == known.classes:
        return Translation(identity(len(data.classes)), known.absent)
    published = data.name in DATASETS and known.name in DATASETS
    table = _by_value(data, known) if published else _by_name(data, known)
    missing = [
        data.classes[train]
        for train, other in table.items()
        if other == IGNORE or known.classes[other] != data.classes[train]
    ]
    if missing:
        raise UserError(
            f"predicts the {len(known.classes)} classes of {known.name} ({brief(known.classes)}), "
            f"{data.name} has {len(data.classes)} classes ({brief(data.classes)}), of which it "
            f"lacks {len(missing)} ({brief(missing)}); choose another model, or prepare the data "
            f"as {known.name}"
        )
    return Translation(table, frozenset(range(len(known.classes))) - set(table.values()))


def _by_value(data: Dataset, known: Dataset) -> dict[int, int]:
    return {train: known.raw_to_train.get(raw, IGNORE) for train, raw in data.train_to_raw.items()}


def _by_name(data: Dataset, known: Dataset) -> dict[int, int]:
    places = {name: train for train, name in enumerate(known.classes)}
    return {train: places.get(name, IGNORE) for train, name in enumerate(data.classes)}


def brief(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
