"""`python -m afdcd.evaluate`: score a network on a prepared data set."""

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from afdcd.cli import run
from afdcd.config import Source, UserError, validate
from afdcd.data.catalog import DATASETS, PROTOCOLS, dataset_named
from afdcd.data.loader import DataConfig, evaluation_images
from afdcd.models.weights import NetworkCard, load_network
from afdcd.tasks.device import choose_device
from afdcd.tasks.metric import ConfusionMatrix
from afdcd.tasks.segmentation import evaluate
from afdcd.tracking.registry import fetch

EXAMPLE = """example:
  python -m afdcd.evaluate models:/camvid-student@champion --data /data/camvid --split test
"""
PROGRESS_SECONDS = 2.0


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    device = choose_device(args.device)
    network, card = load_network(fetch(args.model))
    data = _data(args, card)
    images = _Counted(evaluation_images(data, args.data, args.split, rank=0, world=1))
    started = time.monotonic()
    matrix = evaluate(network.to(device), images, len(card.classes), device)
    if not images.count:
        raise UserError(f"{args.data}: no images in {data.protocol}/{args.split}; choose another")
    scores = {
        "model": args.model,
        "network": card.model.name,
        "dataset": data.dataset,
        "protocol": data.protocol,
        "split": args.split,
        "device": str(device),
        "images": images.count,
        "images_per_second": images.count / (time.monotonic() - started),
        **_scores(matrix, card.classes),
        "recorded_miou": card.miou,
        "recorded_split": card.split,
    }
    print(_table(scores))
    if args.json:
        print(json.dumps(scores))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m afdcd.evaluate",
        description="Score a network on a prepared data set: whole images, one scale, no flip.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help=".safetensors file or models:/name@alias")
    parser.add_argument(
        "--data", metavar="ROOT", required=True, help="folder or URI that afdcd.prepare wrote"
    )
    parser.add_argument("--dataset", choices=DATASETS, help="default: the one it was trained on")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="dev", help="default: dev")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="default: val")
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: the GPU if there is one")
    parser.add_argument("--json", action="store_true", help="print the scores as a last JSON line")
    return parser


def _data(args: argparse.Namespace, card: NetworkCard) -> DataConfig:
    """The data as the network knows them: its normalisation, its classes in its order."""
    dataset = dataset_named(args.dataset or card.dataset)
    if dataset.classes != card.classes:
        raise UserError(
            f"{args.model} predicts {_brief(card.classes)}, but {dataset.name} has "
            f"{_brief(dataset.classes)}; choose another --dataset or model"
        )
    values = {
        "dataset": dataset.name,
        "root": args.data,
        "protocol": args.protocol,
        "crop": [32, 32],  # for training only: evaluation shows whole images
        "normalisation": card.normalisation,
    }
    return validate(DataConfig, values, Source(args.model))


def _brief(classes: Sequence[str]) -> str:
    shown = ", ".join(classes[:4])
    return f"{len(classes)} classes ({shown}{', ...' if len(classes) > 4 else ''})"


@dataclass
class _Counted:
    """Counts the images that pass, and says so while a person watches."""

    images: Iterable[tuple[str, Tensor, Tensor]]
    count: int = 0

    def __iter__(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        said = time.monotonic()
        for image in self.images:
            yield image
            self.count += 1
            if sys.stderr.isatty() and time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                print(f"\r{self.count} images", end="\r", file=sys.stderr)


def _scores(matrix: ConfusionMatrix, classes: Sequence[str]) -> dict[str, Any]:
    iou = zip(classes, matrix.iou().tolist(), strict=True)
    return {
        "miou": _number(matrix.miou),
        "pixel_accuracy": _number(matrix.pixel_accuracy),
        "mean_accuracy": _number(matrix.mean_accuracy),
        "iou": {name: _number(value) for name, value in iou},
    }


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value


def _table(scores: dict[str, Any]) -> str:
    summary = {
        "mIoU": scores["miou"],
        "pixel accuracy": scores["pixel_accuracy"],
        "mean accuracy": scores["mean_accuracy"],
        f"recorded mIoU ({scores['recorded_split'] or 'split unknown'})": scores["recorded_miou"],
    }
    width = max(len(name) for name in (*scores["iou"], *summary))
    rule = "-" * (width + 8)
    return "\n".join(
        [
            f"{scores['network']} on {scores['dataset']}, {scores['protocol']}/{scores['split']}: "
            f"{scores['images']} images, {scores['images_per_second']:.1f} images/s on "
            f"{scores['device']}",
            "",
            f"{'class':<{width}}   IoU %",
            rule,
            *[_line(name, value, width) for name, value in scores["iou"].items()],
            rule,
            *[_line(name, value, width) for name, value in summary.items()],
        ]
    )


def _line(name: str, value: float | None, width: int) -> str:
    """One score in per cent; a dash where there is none, as for a class that never occurs."""
    return f"{name:<{width}}  {'-' if value is None else f'{100 * value:.2f}':>6}"


if __name__ == "__main__":
    sys.exit(run(main))
