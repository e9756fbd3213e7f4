"""A completed run as a model version to be."""

from dataclasses import dataclass
from typing import Any

from afdcd import storage
from afdcd.search.proof import Proof
from afdcd.search.teachers import Teacher
from afdcd.tasks.score import Score
from afdcd.training.artifacts import STUDENT_FILE
from afdcd.training.trial import TrialConfig


@dataclass(frozen=True)
class Ran:
    """A run of a setting with one seed.

    Attributes:
        folder: where its weights lie.
        run: id of its MLflow run.
    """

    seed: int
    folder: str
    run: str

    @property
    def weights(self) -> str:
        return storage.join(self.folder, STUDENT_FILE)


@dataclass(frozen=True)
class Candidate:
    """A student that may be registered: exactly these weights, with what is known of their setting.

    Attributes:
        number: of its trial.
        ran: the run that made the weights.
        score: of these weights.
        settings: what was searched, by name.
        seeds: what further runs of the same setting scored, by their seeds.
        proof: None: one seed, unproven.
        others: the other runs of the same setting in the proof.
    """

    number: int
    title: str
    config: TrialConfig
    identity: str
    ran: Ran
    score: Score
    settings: dict[str, Any]
    seeds: dict[int, Score]
    teacher: Teacher | None
    proof: Proof | None = None
    others: tuple[Ran, ...] = ()

    @property
    def seed(self) -> int:
        return self.ran.seed
