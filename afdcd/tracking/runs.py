"""Brings one MLflow run up to date with what is known of it: a record, and the journal of the run.

Every function here may be called again at any time, by any process: it looks at what MLflow has and
adds what is missing. So nothing needs to be remembered about what was sent, and a run that a person
deleted on the page is simply made again.
"""

import math
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag

from afdcd import storage
from afdcd.config import UserError
from afdcd.text import shown
from afdcd.tracking.links import view_of_study
from afdcd.tracking.pages import (
    FAILED,
    JOB,
    PARENT,
    RUN,
    STATUS,
    STUDY,
    TOLD,
    TRIAL,
    WHOLE,
    Place,
    all_runs,
    find,
    find_run,
    last_iteration,
)
from afdcd.tracking.points import labels, parameters, points, told
from afdcd.tracking.records import RunRecord, StudyRecord
from afdcd.training import journal
from afdcd.training.artifacts import PANEL_FILE
from afdcd.training.job import Outcome, Report

OF_PARENTS = (STUDY, TRIAL, PARENT, "study")
OF_AN_END = ("outcome", "cause")  # tags that go when a run goes on
METRICS, TEXTS = 1000, 100  # per request, the server's limits


@dataclass
class Change:
    """What bringing a run up to date took."""

    run: str
    made: bool
    points: int = 0
    done: list[str] = field(default_factory=list)


def project_study(place: Place, record: StudyRecord) -> Change:
    """Bring the parent run of a study up to date."""
    run = find(place, {STUDY: record.id, JOB: WHOLE})
    made = run is None
    tags = {STUDY: record.id, JOB: WHOLE, "git_commit": place.commit, **record.tags}
    if run is None:
        key, view = view_of_study(record.id, record.name, record.measure)
        place.client.set_experiment_tag(place.experiment, key, view)
        run = _create(place, record.name, tags)
    change = Change(run.info.run_id, made)
    _describe(place, run, tags | _end(record.outcome, ""), {}, change)
    stamp = int(1000 * time.time())
    finite = {name: value for name, value in record.metrics.items() if math.isfinite(value)}
    new = [(n, v) for n, v in finite.items() if run.data.metrics.get(n) != v]
    _log(place, run, [Metric(name, value, stamp, 0) for name, value in new], change)
    _adopt_trials(place, run, change)
    place.studies[record.id] = run
    _set_status(place, run, record.outcome, change)
    return change


def project_run(place: Place, record: RunRecord) -> Change:
    """Bring the run of a job up to date.

    Raises:
        UserError: the journal or the picture cannot be read; all else was written.
    """
    run = find_run(place, record)
    made = run is None
    trouble: Exception | None = None
    reports: list[Report] = []
    try:
        reports = journal.read(record.job.folder, after=0 if run is None else last_iteration(run))
    except (UserError, OSError) as error:
        trouble = error
    tags = _tags(place, record, run)
    for report in reports:
        tags |= report.notes
    run = run or _create(place, record.job.title, tags, _start(reports))
    change = Change(run.info.run_id, made)
    _describe(place, run, tags, parameters(record.job.config), change)
    _adopt_seeds(place, run, change)
    _log(place, run, [metric for report in reports for metric in points(report)], change)
    try:
        _add_picture(place, run, record, change)
    except (UserError, OSError) as error:
        trouble = trouble or error
    _set_status(place, run, record.outcome, change, reports[-1].at if reports else None)
    if trouble:
        raise trouble
    if record.outcome:
        last = reports[-1].iteration if reports else last_iteration(run)
        _set_tag(place, run, TOLD, f"{record.outcome} {last}")
    return change


def end_early(place: Place, record: RunRecord) -> None:
    """Only the status of a run that ended: for a process that may have no time for the rest."""
    run = find_run(place, record)
    if run:
        _set_status(place, run, record.outcome, Change(run.info.run_id, False))


def attach(
    client: MlflowClient, run: str, name: str, data: bytes, folder: str | None = None
) -> None:
    """Store `data` as the run's artifact `folder/name`."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / name
        path.write_bytes(data)
        client.log_artifact(run, str(path), folder)


def _create(place: Place, name: str, tags: dict[str, str], start: int | None = None) -> Run:
    name = shown(name)
    return place.client.create_run(place.experiment, start, tags=told(tags), run_name=name)


def _tags(place: Place, record: RunRecord, run: Run | None) -> dict[str, str]:
    return {
        JOB: record.job.name,
        RUN: record.job.identity,
        "git_commit": place.commit,
        **_parents(place, record, run),
        **labels(record.job),
        **record.tags,
        **_end(record.outcome, record.cause),
    }


def _parents(place: Place, record: RunRecord, run: Run | None) -> dict[str, str]:
    """A trial lies below its study, its further runs below it; what is not there adopts later.

    So a run that has a parent keeps it, and nobody need look for it at every validation.
    """
    if not record.study:
        return {}
    if run and PARENT in run.data.tags:
        return {key: run.data.tags[key] for key in OF_PARENTS if key in run.data.tags}
    tags = {STUDY: record.study}
    study = place.studies.get(record.study) or find(place, {STUDY: record.study, JOB: WHOLE})
    above = study
    if record.job.repeats:
        tags[TRIAL] = record.job.repeats
        above = find(place, {STUDY: record.study, JOB: record.job.repeats}) or study
    tags |= {"study": study.info.run_name} if study else {}
    return tags | ({PARENT: above.info.run_id} if above else {})


def _end(outcome: Outcome | None, cause: str) -> dict[str, str]:
    return {k: v for k, v in zip(OF_AN_END, (outcome, cause), strict=True) if v}


def _describe(
    place: Place, run: Run, tags: dict[str, str], values: dict[str, str], change: Change
) -> None:
    """Tags as they are now, parameters as they were first, the data set among the inputs."""
    known, number = run.data.tags, run.info.run_id
    tags = told(tags)
    if "git_commit" in known:
        tags["git_commit"] = known["git_commit"]  # the one that the run began with
    new_tags = [RunTag(key, value) for key, value in tags.items() if known.get(key) != value]
    new = [Param(key, value) for key, value in values.items() if key not in run.data.params]
    for some_tags in _pieces(new_tags, TEXTS):
        place.client.log_batch(number, tags=some_tags)
    for some in _pieces(new, TEXTS):
        place.client.log_batch(number, params=some)
    for key in OF_AN_END:
        if key in known and key not in tags:
            place.client.delete_tag(number, key)
    if not change.made and (new_tags or new):
        change.done.append("described anew")
    listed = run.inputs.dataset_inputs if run.inputs else []
    if place.data and place.data.dataset.digest not in [d.dataset.digest for d in listed]:
        place.client.log_inputs(number, [place.data])
        change.done.append("data set")


def _log(place: Place, run: Run, metrics: list[Metric], change: Change) -> None:
    for some in _pieces(metrics, METRICS):
        place.client.log_batch(run.info.run_id, metrics=some)
    change.points = len(metrics)


def _add_picture(place: Place, run: Run, record: RunRecord, change: Change) -> None:
    if record.outcome != "completed":
        return
    picture, number = storage.join(record.job.folder, PANEL_FILE), run.info.run_id
    listed = (file.path for file in place.client.list_artifacts(number))
    if PANEL_FILE not in listed and storage.exists(picture):
        attach(place.client, number, PANEL_FILE, storage.read_bytes(picture))
        change.done.append("picture")


def _set_status(
    place: Place, run: Run, outcome: Outcome | None, change: Change, at: float | None = None
) -> None:
    """A run that ended at a report ended when that was made; any other ends now."""
    number = run.info.run_id
    status = STATUS.get(outcome, FAILED) if outcome else "RUNNING"
    if run.info.status == status:
        return
    if outcome:
        end = int(1000 * at) if at and status == "FINISHED" else None
        place.client.set_terminated(number, status, end)
    else:
        place.client.update_run(number, status=status)
    change.done.append(status)


def _set_tag(place: Place, run: Run, key: str, value: str) -> None:
    if run.data.tags.get(key) != value:
        place.client.set_tag(run.info.run_id, key, value)


def _adopt_trials(place: Place, parent: Run, change: Change) -> None:
    """Runs of the study that were made before their parent, or for one that was deleted since."""
    number, study = parent.info.run_id, parent.data.tags[STUDY]
    known = place.studies.get(study)
    if known and known.info.run_id == number:
        return  # a study is told often; a run that is made later lies below it from the first
    query = f"tags.`{STUDY}` = '{study}'"
    if not change.made:  # its runs may be many
        query += f" and tags.`{PARENT}` != '{number}'"
    for run in list(all_runs(place, query)):  # all before one is changed: that moves the others
        tags = run.data.tags
        if tags.get(JOB) != WHOLE and tags.get(PARENT) != number and TRIAL not in tags:
            place.client.set_tag(run.info.run_id, "study", parent.info.run_name)
            _adopt(place, parent, run, change)


def _adopt_seeds(place: Place, trial: Run, change: Change) -> None:
    """Further runs of a trial whose page has been made anew."""
    tags = trial.data.tags
    if not change.made or STUDY not in tags:
        return
    query = f"tags.`{STUDY}` = '{tags[STUDY]}' and tags.`{TRIAL}` = '{tags[JOB]}'"
    for run in list(all_runs(place, query)):
        _adopt(place, trial, run, change)


def _adopt(place: Place, parent: Run, child: Run, change: Change) -> None:
    place.client.set_tag(child.info.run_id, PARENT, parent.info.run_id)
    change.done.append(f"adopted {child.info.run_name}")


def _start(reports: list[Report]) -> int | None:
    """When a run that is made anew began, as well as its first report tells; None: now."""
    first = reports[0] if reports else None
    return int(1000 * (first.at - first.seconds)) if first and first.at else None


def _pieces(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
