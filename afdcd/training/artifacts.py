"""What a finished run leaves in its folder: the student's weights and a picture of what it sees."""

import io
import tempfile
from pathlib import Path

import torch
from torch import nn

from afdcd import storage
from afdcd.config import UserError
from afdcd.models.weights import NetworkCard, load_network, save_network
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.names import task_named
from afdcd.tasks.score import Score
from afdcd.text import first_line
from afdcd.training.job import Job
from afdcd.training.prepared import load_prepared, save_prepared
from afdcd.training.step import DistillationStep

STUDENT_FILE = "student.safetensors"  # or, of a run that prepares, what it came to
PANEL_FILE = "panel.png"


def load_from(uri: str) -> tuple[SegmentationNetwork, NetworkCard]:
    """The network and its card from a .safetensors file, local or in an object store."""
    return load_bytes(storage.read_bytes(uri))


def load_bytes(weights: bytes) -> tuple[SegmentationNetwork, NetworkCard]:
    """The same from what such a file holds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STUDENT_FILE
        path.write_bytes(weights)
        return load_network(path)


def trouble_with(weights: str, identity: str, *, prepares: bool = False) -> str | None:
    """Why a file is not what the run with this identity has trained; None if it is.

    Args:
        prepares: whether that was for another method, and no student.
    """
    try:
        card = (load_prepared if prepares else load_from)(weights)[1]
    except FileNotFoundError:
        return f"{weights} is gone; put it back, or enqueue its setting in a study of another name"
    except storage.StorageError:
        raise  # nothing is known to be wrong with it
    except (UserError, OSError) as error:
        return f"{weights} is damaged ({first_line(error)}); put it back"
    if card.fingerprint != identity:
        return f"{weights} holds the network of another run; put its own back"
    return None


def save_result(job: Job, step: DistillationStep, score: Score) -> None:
    """Write what the run has trained as one safetensors file.

    Of a student with everything needed to use it; of a run that prepares, what it came to.
    """
    if step.student is None:
        save_prepared(job, step.distiller, storage.join(job.folder, STUDENT_FILE))
    else:
        _save_student(job, step.student, score)


def _save_student(job: Job, student: SegmentationNetwork, score: Score) -> None:
    card = task_named(job.config.task).card(student, job.config.data, score, job.identity)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / STUDENT_FILE
        save_network(path, student, card)
        storage.write_bytes(storage.join(job.folder, STUDENT_FILE), path.read_bytes())


def save_panel(job: Job, student: nn.Module, device: torch.device) -> None:
    """Write the picture of what teacher and student say."""
    # Loaded anew: a run without distillation shows its pair's teacher without having held it.
    teacher = load_from(job.teacher)[0].to(device) if job.teacher else None
    picture = io.BytesIO()
    task = task_named(job.config.task)
    task.panel(job.config.data, teacher, student, device).save(picture, "PNG")
    storage.write_bytes(storage.join(job.folder, PANEL_FILE), picture.getvalue())
