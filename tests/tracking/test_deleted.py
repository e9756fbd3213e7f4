"""An MLflow experiment that a person deleted on its page: what to type, and that it helps."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.cli import cli

from afdcd import train
from afdcd.cli import USER_ERROR, run
from afdcd.commands.doctor.finding import guarded
from afdcd.commands.doctor.here import mlflow_here
from afdcd.config import UserError
from afdcd.search import run_study
from afdcd.tracking import registry
from afdcd.tracking.server import connect, refusals
from afdcd.tracking.tracker import Tracker
from tests.tracking.made import record

ONE = """
data: {dataset: synthetic, root: nowhere, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 4, validate_every: 2, batch: 4}
"""


@pytest.fixture
def client(mlflow_storage: Path) -> MlflowClient:
    """Of a database with a run of an experiment that has been deleted since."""
    tracker = Tracker()
    tracker.update(record("nowhere", study=None))
    assert tracker.flush(30)
    tracker.client.delete_experiment(tracker.experiment)
    return tracker.client


def _refused() -> str:
    with pytest.raises(UserError) as told:
        Tracker()
    return str(told.value)


def test_the_command_that_is_offered_brings_runs_and_all_back(
    client: MlflowClient, mlflow_storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _refused()
    assert told.startswith(f"MLflow at sqlite:///{mlflow_storage}/mlflow.db: experiment 'afdcd' ")
    assert "\n" not in told
    (command,) = re.findall(r"`(.*)`", told)
    variable, *words = shlex.split(command)
    assert words[:3] == ["python", "-m", "mlflow"]
    monkeypatch.setenv(*variable.split("=", 1))
    assert CliRunner().invoke(cli, words[3:]).exit_code == 0
    assert Tracker().run_of("trial-0000", None)


def test_another_name_helps_too(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    (variable,) = re.findall(r"(MLFLOW_\w+)=\.\.\.", _refused())
    monkeypatch.setenv(variable, "second")
    tracker = Tracker()
    tracker.update(record("nowhere", study=None))
    assert tracker.run_of("trial-0000", None)


def test_a_run_is_refused_before_anything_is_started(
    client: MlflowClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "one.yaml").write_text(ONE)
    monkeypatch.setattr(run_study, "connect", lambda: pytest.fail("the cluster was asked for"))
    assert run(train.main, [str(tmp_path / "one.yaml")]) == USER_ERROR
    assert capsys.readouterr().err == f"error: {_refused()}\n"


def test_an_experiment_deleted_under_a_driver_is_told_the_same(mlflow_storage: Path) -> None:
    tracker = Tracker()
    tracker.client.delete_experiment(tracker.experiment)
    tracker.update(record("nowhere", study=None))
    with pytest.raises(UserError) as told:
        tracker.run_of("trial-0000", None)
    assert str(told.value) == _refused()


def test_models_can_still_be_used(client: MlflowClient) -> None:
    with pytest.raises(UserError, match="Registered Model with name=nope not found"):
        registry.fetch("models:/nope@champion")


def test_the_doctor_says_it(client: MlflowClient) -> None:
    (finding,) = guarded(mlflow_here)
    assert finding.mend == _refused()


def test_no_password_is_shown(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    _, experiment = connect()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@host:5000")
    with pytest.raises(UserError) as told, refusals():
        client.create_run(experiment)
    assert "s3cret" not in str(told.value)
    assert "`python -m mlflow experiments restore --experiment-id" in str(told.value)
