"""Which page in MLflow is whose, found by its tags."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Run

from afdcd.tracking.points import STEP
from afdcd.tracking.records import RunRecord
from afdcd.training.job import Outcome

PARENT = "mlflow.parentRunId"
STUDY = "afdcd.study"  # the study's id, on its parent run, its children and its model versions
JOB = "afdcd.job"  # the job's name
RUN = "afdcd.run"  # the job's identity
TRIAL = "afdcd.trial"  # on a further run of a trial: the name of the job that began it
STOP = "afdcd.stop"  # a person's wish, on the parent run; its value is only told
TOLD = "afdcd.told"  # on a run: outcome and last iteration of which all is written, the picture too
WHOLE = "study"  # what stands for a job's name on the parent run
STATUS = {"completed": "FINISHED", "paused": "FINISHED", "killed": "KILLED"}
FAILED = "FAILED"  # of the other outcomes
PAGE = 1000  # runs in one answer of the server


@dataclass(frozen=True)
class Place:
    """Where runs are written, and what all of them are told.

    Attributes:
        studies: by a study's id the page that was found or made for it, below which its runs lie.
    """

    client: MlflowClient
    experiment: str
    commit: str
    data: DatasetInput | None = None
    studies: dict[str, Run] = field(default_factory=dict)


def find_run(place: Place, record: RunRecord) -> Run | None:
    """The run of exactly this job: setting, data, teacher and seed as well as the name."""
    names = {JOB: record.job.name, RUN: record.job.identity}
    return find(place, names | ({STUDY: record.study} if record.study else {}), record.study)


def find(place: Place, tags: dict[str, str], study: str | None = None) -> Run | None:
    """The newest run with these tags; of no study unless they or `study` name one."""
    query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    wanted = tags.get(STUDY, study)
    found = place.client.search_runs([place.experiment], query, max_results=100)
    return next((run for run in found if run.data.tags.get(STUDY) == wanted), None)


def all_runs(place: Place, query: str) -> Iterator[Run]:
    """Every run that a query finds, however many pages of answers it takes."""
    token = None
    while True:
        page = place.client.search_runs(
            [place.experiment], query, max_results=PAGE, page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def told_of(place: Place, study: str) -> set[tuple[str, str, Outcome, int]]:
    """Job's name, identity, outcome and last iteration of each run of a study that MLflow has whole."""
    found = set()
    for run in all_runs(place, f"tags.`{STUDY}` = '{study}'"):
        tags, (outcome, _, last) = run.data.tags, run.data.tags.get(TOLD, "").partition(" ")
        if last and run.info.status == STATUS.get(outcome, FAILED):
            found.add((tags.get(JOB, ""), tags.get(RUN, ""), outcome, int(last)))
    return found


def taken_wish(place: Place, study: str) -> str:
    """Who wants a study stopped, by the tag `afdcd.stop` on its page, which is taken away."""
    page = find(place, {STUDY: study, JOB: WHOLE})
    if page is None or STOP not in page.data.tags:
        return ""
    place.client.delete_tag(page.info.run_id, STOP)
    said = page.data.tags[STOP]
    return f"the tag {STOP} in MLflow" + (f" ({said})" if said else "")


def last_iteration(run: Run) -> int:
    """Up to which a page has its points; 0 where it has none."""
    return int(run.data.metrics.get(STEP, 0))
