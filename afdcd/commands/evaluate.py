"""Score a network on a prepared data set, or export its predictions."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from afdcd.config import Source, UserError, validate
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.shards.described import described
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.config import DataConfig
from afdcd.models.weights import NetworkCard, load_network
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.asked import Asked, Examined, Shown
from afdcd.tasks.base import Task
from afdcd.tasks.device import choose_device, ran_out_of_memory
from afdcd.tasks.names import task_of
from afdcd.tasks.options import inference_of
from afdcd.tracking.registry import fetch

PROGRESS_SECONDS = 2.0


def execute(args: argparse.Namespace) -> int:
    """Score, export, print; the exit status."""
    inference, device = inference_of(args), choose_device(args.device)
    network, card = load_network(fetch(args.model))
    task = task_of(args.model, card.task)
    dataset = described(read_manifest(args.data, args.dataset))
    data = _data(args, card, dataset)
    asked = Asked(args.model, dataset, data, args.split, device, inference, args.export)
    images = _Counted(task.images(data, args.split, device))
    started = time.monotonic()
    found = _examine(task, network, card, images, asked)
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
    print(f"{_head(done)}\n{found.text}")
    if args.json:
        print(json.dumps(done | found.values))
    return 0


def _examine(
    task: Task, network: SegmentationNetwork, card: NetworkCard, images: "_Counted", asked: Asked
) -> Examined:
    try:
        return task.examine(network.to(asked.device), card, images, asked)
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        other = "" if asked.device.type == "cpu" else ", or --device cpu"
        raise UserError(
            f"image {images.count + 1} is too large for the memory of {asked.device}: use --window, "
            f"or fewer --scales{other}"
        ) from None


def _head(done: dict[str, Any]) -> str:
    return (
        f"{done['network']} on {done['dataset']}, {done['protocol']}/{done['split']}: "
        f"{done['images']} images, {done['images_per_second']:.1f} images/s on {done['device']}"
    )


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
    """Images of a split, counted while a person watches."""

    images: Iterable[Shown]
    count: int = 0

    def __iter__(self) -> Iterator[Shown]:
        said = time.monotonic()
        for shown in self.images:
            yield shown
            self.count += 1
            if sys.stderr.isatty() and time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                print(f"\r{self.count} images", end="\r", file=sys.stderr)
