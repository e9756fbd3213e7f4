"""Addresses of MLflow pages, and how its tables look when they are opened from there.

MLflow 3 opens on its view for language model traces, with children folded away and no column for a
score. It keeps views of the table as tags of the experiment; the menu "Views" lists them, and an
address can name one.
"""

import json
import time
from urllib.parse import quote

from afdcd.tasks.score import DEFAULT_MEASURE
from afdcd.text import shown

VIEW = "mlflow.sharedViewState."  # the experiment's tag is this and the view's key
EVERYTHING = "afdcd"  # the key of the view of all studies
_COLUMNS = ("study", "outcome", "method", "pair", "cause")


def experiment_page(server: str, experiment: str) -> str:
    """All runs of an experiment, the best first."""
    return _runs(server, experiment, EVERYTHING)


def study_page(server: str, experiment: str, study_id: str, score_name: str) -> str:
    """The runs of a study, the best first."""
    return _runs(server, experiment, view_of_study(study_id, "", score_name)[0].removeprefix(VIEW))


def run_page(server: str, experiment: str, run: str) -> str:
    """One run: its curves, its picture, its settings."""
    return f"{_root(server)}/#/experiments/{experiment}/runs/{run}"


def model_page(server: str, model: str) -> str:
    """A registered model with its versions."""
    return f"{_root(server)}/#/models/{quote(model, safe='')}"


def closing_lines(
    server: str | None,
    experiment: str,
    study_id: str,
    best_run_id: str | None,
    model: str | None,
    score_name: str = DEFAULT_MEASURE.name,
) -> list[str]:
    """What a person opens after a study.

    Args:
        server: MLflow's address; None where it is only a database.
        best_run_id: if there is one.
        model: the registered model's name, if there is one.
        score_name: what its runs are compared by.
    """
    if server is None:
        return ["afdcd ui   # curves, pictures and the registry, in the browser"]
    pages = [("study", study_page(server, experiment, study_id, score_name))]
    pages += [("best run", run_page(server, experiment, best_run_id))] if best_run_id else []
    pages += [("model", model_page(server, model))] if model else []
    return [f"{name:8}  {page}" for name, page in pages]


def view_of_everything(score_name: str) -> tuple[str, str]:
    """The experiment's tag, key and value, that shows all runs with their score, the best first."""
    where = "tags.`afdcd.job` != 'study'"
    return f"{VIEW}{EVERYTHING}", _view("all studies", where, score_name, _COLUMNS)


def view_of_study(study_id: str, name: str, score_name: str) -> tuple[str, str]:
    """The experiment's tag, key and value, that shows the runs of one study, the best first."""
    where = f"tags.`afdcd.study` = '{study_id}' and tags.`afdcd.job` != 'study'"
    return f"{VIEW}afdcd-{study_id}", _view(name, where, score_name, _COLUMNS[1:])


def _view(name: str, where: str, score_name: str, tags: tuple[str, ...]) -> str:
    score = f"metrics.`{score_name}`"
    state = {
        "searchFilter": where,
        "orderByKey": score,
        "orderByAsc": False,
        "selectedColumns": [score, *(f"tags.`{tag}`" for tag in tags)],
    }
    now = int(1000 * time.time())
    kept = {"name": name, "createdAt": now, "updatedAt": now, "state": json.dumps(state)}
    return json.dumps(kept)


def _runs(server: str, experiment: str, view: str) -> str:
    page = f"{_root(server)}/#/experiments/{experiment}/runs"
    return f"{page}?workflowType=machine_learning&viewStateShareKey={view}"


def _root(server: str) -> str:
    return shown(server).rstrip("/")
