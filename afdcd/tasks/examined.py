"""A segmentation network judged on a prepared data set, in the classes that network and data share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from jaxtyping import Int
from torch import Tensor

from afdcd.config import UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.catalog.train_ids import identity
from afdcd.data.catalog.translate import Translation, brief, translation
from afdcd.models.weights import NetworkCard
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.asked import Asked, Examined, Shown
from afdcd.tasks.export import Exporter
from afdcd.tasks.scores import scores_of, table
from afdcd.tasks.segmentation import evaluate


def examine(
    network: SegmentationNetwork, card: NetworkCard, images: Iterable[Shown], asked: Asked
) -> Examined:
    """Scores by class beside the one that the card says, and predictions where they are asked for.

    Raises:
        UserError: network and data share no classes, or the labels are withheld and nothing is exported.
    """
    known = _known(asked.model, card, asked.dataset)
    labels = _translation(asked.model, asked.dataset, known)
    exporter = _exporter(asked, known)
    matrix = evaluate(
        network,
        _translated(images, labels),
        network.classes,
        asked.device,
        absent=labels.absent,
        inference=asked.inference,
        sink=_sink(exporter) if exporter else None,
    )
    values: dict[str, Any] = {}
    lines = []
    if not asked.withheld:
        values = scores_of(matrix, card.classes)
        values |= {"recorded_miou": card.miou, "recorded_split": card.split}
        recorded = {f"recorded mIoU ({card.split or 'split unknown'})": card.miou}
        lines.append(f"\n{table(values, recorded)}")
    if exporter:
        values["exported"] = exporter.folder
        lines.append(_exported(exporter, asked.withheld))
    return Examined(values, "\n".join(lines))


def _known(model: str, card: NetworkCard, dataset: Dataset) -> Dataset:
    """The data set whose train ids the network predicts.

    Raises:
        UserError: its classes are those of no data set, or in another order.
    """
    if card.classes == dataset.classes:
        return dataset
    if card.dataset not in DATASETS:
        return _of_card(card)
    known = DATASETS[card.dataset]
    if card.classes != known.classes:
        raise UserError(
            f"{model}: predicts {len(card.classes)} classes ({brief(card.classes)}), {known.name} "
            f"has {len(known.classes)} ({brief(known.classes)}); choose another model"
        )
    return known


def _of_card(card: NetworkCard) -> Dataset:
    """What the card says of a data set that somebody brought."""
    return Dataset(
        name=card.dataset,
        classes=card.classes,
        palette=card.palette,
        raw_to_train=identity(len(card.classes)),
        counts={},
        image_size=None,
        held_out=bool,
    )


def _translation(model: str, dataset: Dataset, known: Dataset) -> Translation:
    try:
        return translation(dataset, known)
    except UserError as error:
        raise UserError(f"{model}: {error}") from None


def _translated(images: Iterable[Shown], labels: Translation) -> Iterator[Shown]:
    for key, image, label in images:
        yield key, image, labels(label)


def _exporter(asked: Asked, known: Dataset) -> Exporter | None:
    published = asked.dataset.published(asked.data.protocol, asked.split)
    if asked.export:
        return Exporter(asked.export, known, published)
    if asked.withheld:
        raise UserError(
            f"the labels of {asked.dataset.name}/{asked.split} are withheld, so there is nothing to "
            "score; write predictions with --export FOLDER, or choose --split val"
        )
    return None


def _sink(exporter: Exporter) -> Callable[[str, Int[Tensor, "H W"]], None]:
    return lambda key, predicted: exporter.write(key, predicted.cpu().numpy())


def _exported(exporter: Exporter, withheld: bool) -> str:
    where = f"{exporter.count} predictions in {exporter.folder}"
    if not withheld:
        return where
    return f"labels of this split are withheld; {where}, submit them at {exporter.server}"
