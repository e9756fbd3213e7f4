"""Scores of finished networks, measured on the cluster: the teacher gate and the final report."""

from dataclasses import dataclass

import ray
import torch

from afdcd.data.catalog.datasets import DATASETS, Role
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import evaluation_images
from afdcd.search.cluster import Cluster
from afdcd.tasks.segmentation import evaluate
from afdcd.training.artifacts import load_from


@dataclass(frozen=True)
class Score:
    """mIoU and per-class IoU are 0..1; a class that occurs nowhere is nan."""

    miou: float
    pixel_accuracy: float
    iou: dict[str, float]


def score_networks(
    weights: list[str], data: DataConfig, role: Role, cluster: Cluster
) -> list[Score]:
    """Evaluate .safetensors networks (path or URI) on a split: here, or where the GPUs are."""
    if cluster.gpus < 1 and cluster.nodes == 1:
        return [_measure(uri, data, role) for uri in weights]
    gpu = 1 if cluster.gpus >= 1 else 0
    task = ray.remote(num_cpus=1, num_gpus=gpu, max_retries=2)(_measure)
    return ray.get([task.remote(uri, data, role) for uri in weights])


def _measure(weights: str, data: DataConfig, role: Role) -> Score:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, _ = load_from(weights)
    dataset = DATASETS[data.dataset]
    images = evaluation_images(data, data.location, role)
    matrix = evaluate(
        network.to(device), images, len(dataset.classes), device, absent=dataset.absent
    )
    iou = dict(zip(dataset.classes, matrix.iou().tolist(), strict=True))
    return Score(matrix.miou, matrix.pixel_accuracy, iou)
