"""Scores of finished networks, measured on the cluster: the teacher gate and the final report."""

import ray
import torch

from afdcd.data.catalog.datasets import DATASETS, Role
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import evaluation_images
from afdcd.search.cluster import Cluster
from afdcd.tasks.score import Score
from afdcd.tasks.scores import score_of
from afdcd.tasks.segmentation import evaluate
from afdcd.training.artifacts import load_from
from afdcd.training.resources import ResourcesConfig


def score_networks(
    weights: list[str], data: DataConfig, role: Role, cluster: Cluster, resources: ResourcesConfig
) -> list[Score]:
    """Evaluate .safetensors networks (path or URI) on a split: here, or where the GPUs are.

    Args:
        resources: of a run; here they say how many threads compute.
    """
    if cluster.gpus < 1 and cluster.nodes == 1:
        torch.set_num_threads(max(1, int(cluster.alone(resources).cpus)))
        return [_measure(uri, data, role) for uri in weights]
    gpu = 1 if cluster.gpus >= 1 else 0
    task = ray.remote(num_cpus=1, num_gpus=gpu, max_retries=2)(_measure)
    return ray.get([task.remote(uri, data, role) for uri in weights])


def _measure(weights: str, data: DataConfig, role: Role) -> Score:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network, _ = load_from(weights)
    dataset = DATASETS[data.dataset]
    images = evaluation_images(data, data.location, role, device=device)
    matrix = evaluate(
        network.to(device), images, len(dataset.classes), device, absent=dataset.absent
    )
    return score_of(matrix, dataset.classes)
