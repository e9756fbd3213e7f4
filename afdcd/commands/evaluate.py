"""Score a network on a prepared data set, or export its predictions."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from afdcd.config import Source, UserError, validate
from afdcd.data.catalog.datasets import Dataset, dataset_named
from afdcd.data.catalog.translate import Translation, brief, translation
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import evaluation_images
from afdcd.models.weights import NetworkCard, load_network
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.device import choose_device
from afdcd.tasks.export import Exporter
from afdcd.tasks.inference import InferenceConfig
from afdcd.tasks.metric import ConfusionMatrix
from afdcd.tasks.names import check_label_maps
from afdcd.tasks.options import inference_of
from afdcd.tasks.scores import scores_of, table
from afdcd.tasks.segmentation import evaluate
from afdcd.tracking.registry import fetch

PROGRESS_SECONDS = 2.0


def execute(args: argparse.Namespace) -> int:
    """Score, export, print; the exit status."""
    inference, device = inference_of(args), choose_device(args.device)
    network, card = load_network(fetch(args.model))
    check_label_maps(card.task, args.model)
    dataset = dataset_named(args.dataset or read_manifest(args.data).dataset)
    known = _known(args.model, card, dataset)
    labels = _translation(args.model, dataset, known)
    exporter = _exporter(args, dataset, known)
    data = _data(args, card, dataset)
    images = _Counted(evaluation_images(data, args.data, args.split, device=device), labels)
    started = time.monotonic()
    matrix = _evaluate(network, images, device, inference, exporter)
    if not images.count:
        raise UserError(f"{args.data}: no images in {args.protocol}/{args.split}; choose another")
    done: dict[str, Any] = {
        "model": args.model,
        "network": card.model.name,
        "dataset": dataset.name,
        "protocol": args.protocol,
        "split": args.split,
        "inference": inference.plain(),
        "device": str(device),
        "images": images.count,
        "images_per_second": images.count / (time.monotonic() - started),
    }
    print(_head(done))
    withheld = not dataset.labelled(args.protocol, args.split)
    if not withheld:
        done |= scores_of(matrix, card.classes)
        done |= {"recorded_miou": card.miou, "recorded_split": card.split}
        recorded = {f"recorded mIoU ({card.split or 'split unknown'})": card.miou}
        print(f"\n{table(done, recorded)}")
    if exporter:
        done["exported"] = exporter.folder
        print(_exported(exporter, withheld))
    if args.json:
        print(json.dumps(done))
    return 0


def _evaluate(
    network: SegmentationNetwork,
    images: "_Counted",
    device: torch.device,
    inference: InferenceConfig,
    exporter: Exporter | None,
) -> ConfusionMatrix:
    try:
        return evaluate(
            network.to(device),
            images,
            network.classes,
            device,
            absent=images.labels.absent,
            inference=inference,
            sink=_sink(exporter) if exporter else None,
        )
    except torch.OutOfMemoryError:
        raise UserError(
            f"image {images.count + 1} is too large for the memory of {device}: use --window, "
            "fewer --scales or --device cpu"
        ) from None


def _head(done: dict[str, Any]) -> str:
    return (
        f"{done['network']} on {done['dataset']}, {done['protocol']}/{done['split']}: "
        f"{done['images']} images, {done['images_per_second']:.1f} images/s on {done['device']}"
    )


def _known(model: str, card: NetworkCard, dataset: Dataset) -> Dataset:
    """The data set whose train ids the network predicts.

    Raises:
        UserError: its classes are those of no data set, or in another order.
    """
    if card.classes == dataset.classes:
        return dataset
    known = dataset_named(card.dataset)
    if card.classes != known.classes:
        raise UserError(
            f"{model}: predicts {len(card.classes)} classes ({brief(card.classes)}), {known.name} "
            f"has {len(known.classes)} ({brief(known.classes)}); choose another model"
        )
    return known


def _translation(model: str, dataset: Dataset, known: Dataset) -> Translation:
    try:
        return translation(dataset, known)
    except UserError as error:
        raise UserError(f"{model}: {error}") from None


def _exporter(args: argparse.Namespace, dataset: Dataset, known: Dataset) -> Exporter | None:
    if args.export:
        return Exporter(args.export, known, dataset.published(args.protocol, args.split))
    if not dataset.labelled(args.protocol, args.split):
        raise UserError(
            f"the labels of {dataset.name}/{args.split} are withheld, so there is nothing to score; "
            "write predictions with --export FOLDER, or choose --split val"
        )
    return None


def _sink(exporter: Exporter) -> Callable[[str, Tensor], None]:
    return lambda key, predicted: exporter.write(key, predicted.cpu().numpy())


def _exported(exporter: Exporter, withheld: bool) -> str:
    where = f"{exporter.count} predictions in {exporter.folder}"
    if not withheld:
        return where
    return f"labels of this split are withheld; {where}, submit them at {exporter.server}"


def _data(args: argparse.Namespace, card: NetworkCard, dataset: Dataset) -> DataConfig:
    """The data normalised as the network knows them."""
    if args.loader_workers < 0:
        raise UserError(f"--loader-workers {args.loader_workers}: must be at least 0")
    values = {
        "dataset": dataset.name,
        "root": args.data,
        "protocol": args.protocol,
        "crop": [32, 32],  # for training only: evaluation shows whole images
        "normalisation": card.normalisation,
        "loader_workers": args.loader_workers,
    }
    return validate(DataConfig, values, Source(args.model))


@dataclass
class _Counted:
    """Images with labels as the network knows them; counts them while a person watches."""

    images: Iterable[tuple[str, Tensor, Tensor]]
    labels: Translation
    count: int = 0

    def __iter__(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        said = time.monotonic()
        for key, image, label in self.images:
            yield key, image, self.labels(label)
            self.count += 1
            if sys.stderr.isatty() and time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                print(f"\r{self.count} images", end="\r", file=sys.stderr)
