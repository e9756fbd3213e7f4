"""What a study leaves on the disk, and what it needs there at its fullest."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afdcd.search.config import StudyConfig
from afdcd.search.plan.data import prepared_bytes
from afdcd.search.plan.memory import networks_of
from afdcd.training.trial import TrialConfig

NUMBER = 4  # bytes; everything that is kept is fp32
PICTURE = 2e6  # of each run
REPORT = 4e3  # of the journal, a validation
DATABASE = 2e5  # a run, in the study database and in MLflow's
COPIES = 3  # of a teacher: in its run's folder, for the workers, in the registry


@dataclass(frozen=True)
class Disk:
    """Bytes.

    Attributes:
        checkpoints: of runs that go on (two for a moment, while one replaces the other) and of paused ones.
        weights: of every run's student, of registered ones, of teachers.
        journals: pictures and databases too.
        data: the prepared data set; None where it is not known.
    """

    checkpoints: float
    weights: float
    journals: float
    data: int | None

    @property
    def whole(self) -> float:
        """Without the data."""
        return self.checkpoints + self.weights + self.journals


def disk_of(
    study: StudyConfig,
    corners: Sequence[TrialConfig],
    teachers: Sequence[TrialConfig],
    runs: int,
    at_once: int,
) -> Disk:
    """Of a study.

    Args:
        corners: the settings that need most.
        runs: of search and proof.
    """
    training = corners[0].training
    students = max(networks_of(c).student.parameters for c in corners) * NUMBER
    checkpoint = max(map(_checkpoint, corners))
    paused = study.runs if study.grace else 0
    training_teacher = 2 * max(map(_checkpoint, teachers), default=0.0)
    taught = sum(networks_of(t).student.parameters for t in teachers) * NUMBER * COPIES
    validations = training.iterations // training.validate_every
    return Disk(
        checkpoints=max(training_teacher, (2 * max(1, at_once) + paused) * checkpoint),
        weights=(runs + study.keep) * students + taught,
        journals=runs * (PICTURE + DATABASE + validations * REPORT),
        data=prepared_bytes(corners[0].data),
    )


def free_bytes(folder: str) -> int | None:
    """Where a folder lies or will lie; None for a URI."""
    if "://" in folder:
        return None
    place = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def _checkpoint(config: TrialConfig) -> float:
    """Weights of student and distiller, what their optimizer keeps of each, and what is remembered."""
    networks = networks_of(config)
    states = 1 + config.training.optimizer.slots
    learnt = networks.student.parameters + networks.adapters
    return float(states * learnt * NUMBER + networks.remembered)
