"""What a finished run leaves in its folder: the student's weights and a picture of what it sees."""

import io
import math
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import nn

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.shards.rows import open_split
from afdcd.data.train.loader import evaluation_images
from afdcd.models.complexity import gmacs, parameters
from afdcd.models.weights import NetworkCard, load_network, save_network
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.inference import predict_labels
from afdcd.tasks.normalisation import for_network
from afdcd.tasks.pictures import PanelRow, denormalise, panel
from afdcd.tasks.score import Score
from afdcd.text import first_line
from afdcd.training.job import Job

STUDENT_FILE = "student.safetensors"
PANEL_FILE = "panel.png"
PANEL_ROWS = 4


def load_from(uri: str) -> tuple[SegmentationNetwork, NetworkCard]:
    """The network and its card from a .safetensors file, local or in an object store."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STUDENT_FILE
        path.write_bytes(storage.read_bytes(uri))
        return load_network(path)


def trouble_with(weights: str, identity: str) -> str | None:
    """Why a file is not the network of the run with this identity; None if it is."""
    try:
        card = load_from(weights)[1]
    except FileNotFoundError:
        return f"{weights} is gone; put it back, or enqueue its setting in a study of another name"
    except storage.StorageError:
        raise  # nothing is known to be wrong with it
    except (UserError, OSError) as error:
        return f"{weights} is damaged ({first_line(error)}); put it back"
    if card.fingerprint != identity:
        return f"{weights} holds the network of another run; put its own back"
    return None


def save_student(job: Job, student: SegmentationNetwork, score: Score) -> None:
    """Write the student alone, with everything needed to use it, as one safetensors file."""
    dataset = DATASETS[job.config.data.dataset]
    height, width = job.config.data.crop
    card = NetworkCard(
        model=job.config.pair.student.updated(pretrained=None),
        dataset=dataset.name,
        classes=dataset.classes,
        palette=dataset.palette,
        normalisation=job.config.data.normalisation,
        miou=score.value if math.isfinite(score.value) else None,
        split=f"{job.config.data.protocol}/val",
        parameters=parameters(student),
        gmacs=gmacs(student, height, width),
        fingerprint=job.identity,
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STUDENT_FILE
        save_network(path, student, card)
        storage.write_bytes(storage.join(job.folder, STUDENT_FILE), path.read_bytes())


def save_panel(job: Job, student: nn.Module, device: torch.device) -> None:
    """Write rows of image, ground truth, teacher and student, spread over the validation split."""
    dataset = DATASETS[job.config.data.dataset]
    # Loaded anew: a run without distillation shows its pair's teacher without having held it.
    teacher = load_from(job.teacher)[0].to(device) if job.teacher else None
    rows = list(_panel_rows(job, student, teacher, device))
    picture = io.BytesIO()
    panel(rows, dataset.palette, dataset.classes).save(picture, "PNG")
    storage.write_bytes(storage.join(job.folder, PANEL_FILE), picture.getvalue())


def _panel_rows(
    job: Job, student: nn.Module, teacher: SegmentationNetwork | None, device: torch.device
) -> Iterator[PanelRow]:
    data = job.config.data
    count = len(open_split(data.location, data.dataset, data.protocol, "val"))
    few = data.updated(loader_workers=0)  # starting processes takes longer than these pictures
    spread = evaluation_images(few, data.location, "val", world=max(1, count // PANEL_ROWS))
    before = None if teacher is None else for_network(teacher, data.normalisation)
    for _, image, truth in islice(spread, PANEL_ROWS):
        picture, image = denormalise(image[0], data.normalisation), image.to(device)
        taught = None if teacher is None else _labels(teacher, before(image) if before else image)
        yield picture, truth[0].numpy(), taught, _labels(student, image)


def _labels(network: nn.Module, image: torch.Tensor) -> np.ndarray:
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        labels = predict_labels(network, image, (image.shape[-2], image.shape[-1]))
    network.train(was_training)
    return labels[0].cpu().numpy()
