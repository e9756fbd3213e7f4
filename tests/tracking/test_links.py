"""Addresses of MLflow pages, and what a person sees there in a browser."""

import json
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from afdcd.environment import inherited
from afdcd.search.local_cluster import free_port
from afdcd.tracking import links
from afdcd.tracking.server import connect, introduce
from afdcd.tracking.tracker import Tracker
from tests.tracking.made import STUDY, record, study, trained

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


def test_pages_of_a_study_where_a_server_runs() -> None:
    lines = links.closing_lines("http://me:s3cret@host:5000/", "7", STUDY, "abc", "a model")
    assert lines == [
        f"study     http://host:5000/#/experiments/7/runs?workflowType=machine_learning"
        f"&viewStateShareKey=afdcd-{STUDY}",
        "best run  http://host:5000/#/experiments/7/runs/abc",
        "model     http://host:5000/#/models/a%20model",
    ]
    assert len(links.closing_lines("http://host", "7", STUDY, None, None)) == 1


def test_where_no_server_runs_the_command_that_starts_one_is_told() -> None:
    (line,) = links.closing_lines(None, "7", STUDY, "abc", "street")
    assert line.startswith("afdcd ui")


def test_an_address_names_a_view_that_the_tracker_made(tracker: Tracker) -> None:
    tracker.open_study(study())
    assert tracker.flush(30)
    tags = tracker.client.get_experiment(tracker.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.experiment.primaryMetric.name"] == "miou"
    assert tags["mlflow.experiment.primaryMetric.greaterIsBetter"] == "true"
    pages = (
        links.experiment_page("http://host", "1"),
        links.study_page("http://host", "1", STUDY, "miou"),
    )
    for page in pages:
        (key,) = re.findall("viewStateShareKey=(.*)", page)
        state = json.loads(json.loads(tags[f"mlflow.sharedViewState.{key}"])["state"])
        assert state["orderByKey"] == "metrics.`miou`"
        assert not state["orderByAsc"]


def test_an_experiment_that_is_there_already_is_introduced_and_a_person_kept(
    mlflow_storage: Path,
) -> None:
    client, experiment = connect()
    for key in ("mlflow.experimentKind", "mlflow.experiment.primaryMetric.greaterIsBetter"):
        client.delete_experiment_tag(experiment, key)
    client.set_experiment_tag(experiment, "mlflow.experiment.primaryMetric.name", "loss/total")
    introduce(client, experiment)
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.experiment.primaryMetric.name"] == "loss/total"


@pytest.fixture
def server(mlflow_storage: Path) -> Iterator[str]:
    """MLflow's own server over the database of this test."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    database = f"sqlite:///{mlflow_storage}/mlflow.db"
    process = subprocess.Popen(
        [*command, "--backend-store-uri", database],
        env=inherited(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        cwd=mlflow_storage,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).close()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def dom(page: str, folder: Path) -> str:
    """What a browser makes of a page, after 30 s of its own time."""
    assert BROWSER is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update"]
    flags += [f"--user-data-dir={folder}", "--window-size=1500,900"]
    flags += ["--virtual-time-budget=30000", "--dump-dom"]
    return subprocess.run(
        [BROWSER, *flags, page], text=True, capture_output=True, check=True, timeout=150
    ).stdout


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.timeout(240)
def test_a_study_opens_with_its_runs_and_scores_in_view_the_best_first(
    server: str, tracker: Tracker, tmp_path: Path
) -> None:
    scores = {"trial-0000": 0.4488, "trial-0001": 0.4649, "trial-0002": 0.4613}
    tracker.open_study(study(metrics={"miou": 0.4649}))
    for name, value in scores.items():
        trial = record(tmp_path / "runs", name, outcome="completed")
        trained(trial.job, 0.1, value)
        tracker.update(trial)
    stranger = record(tmp_path / "runs", "stranger", study=None)
    trained(stranger.job, 0.9)
    tracker.update(stranger)
    assert tracker.flush(60)

    page = dom(links.study_page(server, tracker.experiment, STUDY, "miou"), tmp_path / "browser")
    order = [page.find(f"{name} afdcd") for name in ("trial-0001", "trial-0002", "trial-0000")]
    assert -1 not in order
    assert order == sorted(order)
    cells = [page.find(f">{value}<") for value in (0.4649, 0.4613, 0.4488)]
    assert -1 not in cells
    assert cells == sorted(cells)
    assert "stranger" not in page
    assert "completed" in page

    page = dom(links.experiment_page(server, tracker.experiment), tmp_path / "browser")
    assert -1 < page.find("stranger afdcd") < page.find("trial-0001 afdcd")
    assert ">0.9<" in page
