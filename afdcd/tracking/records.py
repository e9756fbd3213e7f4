"""What MLflow is told of a study and its runs. With the journals, this is all that it is made of."""

from dataclasses import dataclass, field

from afdcd.tasks.score import DEFAULT_MEASURE
from afdcd.training.job import Job, Outcome


@dataclass(frozen=True)
class StudyRecord:
    """A study as its parent run shows it.

    Attributes:
        id: uuid of the study database's study; two studies of one name are two parents.
        outcome: None while it goes on.
        measure: name of the score that its runs are compared by.
    """

    id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    outcome: Outcome | None = None
    measure: str = DEFAULT_MEASURE.name


@dataclass(frozen=True)
class RunRecord:
    """One run; the numbers are in the journal in `job.folder`.

    Attributes:
        study: id of the study it belongs to; None for a teacher and for `afdcd train`.
        outcome: None while it goes on.
    """

    job: Job
    study: str | None = None
    outcome: Outcome | None = None
    cause: str = ""
    tags: dict[str, str] = field(default_factory=dict)
