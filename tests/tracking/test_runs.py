"""Runs in a real MLflow database: what a person would see there after each way a job can go."""

import math
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from afdcd import storage
from afdcd.config import UserError
from afdcd.tracking.runs import Tracker, _metrics
from afdcd.training.artifacts import PANEL_FILE
from afdcd.training.job import RunResult
from tests.examples import job

SILENT = MlflowException("API request to http://user:s3cret@host/api failed")


def report(iteration: int, miou: float = 0.3) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "miou": miou,
        "pixel_accuracy": 0.8,
        "iou": {"sky": 0.9, "car": math.nan},
        "seconds": 1800.0,
        "devices": 2,
        "device": "cpu",
        "curve": {
            "iteration": [iteration - 1, iteration],
            "task": [2.0, 1.0],
            "lr": [0.1, 0.05],
        },
    }


def run(tracker: Tracker, name: str) -> Any:
    return tracker.client.get_run(tracker.run_of(name))


def points(tracker: Tracker, name: str, metric: str) -> list[tuple[int, float]]:
    history = tracker.client.get_metric_history(tracker.run_of(name), metric)
    return sorted((point.step, point.value) for point in history)


def test_study_is_the_parent_of_its_trials(tracker: Tracker) -> None:
    tracker.open_study("street", {"dataset": "synthetic/dev"}, {})
    tracker.started(job("trial-0000"))
    trial, parent = run(tracker, "trial-0000"), tracker.client.get_run(tracker.parent)
    assert trial.data.tags["mlflow.parentRunId"] == tracker.parent
    assert (parent.info.run_name, parent.info.status) == ("street", "RUNNING")
    assert parent.data.tags["dataset"] == "synthetic/dev"
    assert (trial.info.run_name, trial.info.status) == ("trial-0000 afdcd", "RUNNING")
    assert trial.data.tags["method"] == "afdcd"
    assert trial.data.tags["pair"] == "pspnet-resnet10t > pspnet-lcnet_050"
    assert trial.data.tags["dataset"] == "synthetic/dev"
    assert trial.data.tags["git_commit"]
    assert trial.data.params["training.lr"] == "0.01"
    assert trial.data.params["pair.teacher.model.encoder"] == "timm:resnet10t"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [("completed", "FINISHED"), ("pruned", "FINISHED"), ("failed", "FAILED"), ("killed", "KILLED")],
)
def test_status_and_outcome_say_how_a_job_ended(
    tracker: Tracker, outcome: Any, status: str
) -> None:
    tracker.open_study("street", {}, {})
    tracker.started(job())
    tracker.ended(job(), RunResult(outcome, {}, "the cause" if outcome == "failed" else ""))
    ended = run(tracker, "trial-0000")
    assert ended.info.status == status
    assert ended.data.tags["outcome"] == outcome
    assert ended.data.tags.get("cause") == ("the cause" if outcome == "failed" else None)


def test_interruption_closes_the_study_too(tracker: Tracker) -> None:
    tracker.interrupted()  # before there is a study
    tracker.open_study("street", {}, {})
    tracker.interrupted()
    assert tracker.client.get_run(tracker.parent).info.status == "KILLED"
    tracker.close_study("FINISHED")
    assert tracker.client.get_run(tracker.parent).info.status == "FINISHED"


def test_scores_and_losses_stand_at_their_iterations(tracker: Tracker) -> None:
    tracker.open_study("street", {}, {})
    tracker.started(job())
    tracker.reported(job(), report(2))
    assert points(tracker, "trial-0000", "miou") == [(2, 0.3)]
    assert points(tracker, "trial-0000", "loss/task") == [(1, 2.0), (2, 1.0)]
    assert points(tracker, "trial-0000", "lr") == [(1, 0.1), (2, 0.05)]
    assert points(tracker, "trial-0000", "cpu_hours") == [(2, 1.0)]
    assert points(tracker, "trial-0000", "iou/sky") == [(2, 0.9)]


def test_class_that_never_occurs_has_no_metric() -> None:
    names = {metric.key for metric in _metrics(report(2, miou=math.nan), 0)}
    assert "iou/sky" in names
    assert not names & {"iou/car", "miou"}


def test_diverged_report_logs_nothing_new(tracker: Tracker) -> None:
    tracker.started(job())
    tracker.reported(job(), {"failed": "x", "miou": math.nan, "iteration": 0})
    assert run(tracker, "trial-0000").data.metrics == {}


def test_more_points_than_one_request_takes_are_all_logged(tracker: Tracker) -> None:
    tracker.started(job())
    curve = {"iteration": list(range(1, 1201)), "task": [0.5] * 1200}
    tracker.reported(job(), {**report(1200), "curve": curve})
    assert len(points(tracker, "trial-0000", "loss/task")) == 1200


def test_new_driver_continues_the_same_runs_without_repeated_points(tracker: Tracker) -> None:
    tracker.open_study("street", {}, {})
    tracker.started(job())
    tracker.reported(job(), report(2))
    first = tracker.run_of("trial-0000")
    again = Tracker()
    again.open_study("street", {}, {})
    assert again.parent == tracker.parent
    again.started(job(resources__workers=2))  # resources may change, parameters then stay
    again.reported(job(), report(2, miou=0.9))
    again.reported(job(), report(4))
    assert again.run_of("trial-0000") == first
    assert points(again, "trial-0000", "miou") == [(2, 0.3), (4, 0.3)]
    assert points(again, "trial-0000", "loss/task") == [(1, 2.0), (2, 1.0), (3, 2.0), (4, 1.0)]
    assert run(again, "trial-0000").info.status == "RUNNING"
    assert run(again, "trial-0000").data.params["resources.workers"] == "1"


def test_restarted_job_of_one_driver_repeats_no_point(tracker: Tracker) -> None:
    tracker.started(job())
    tracker.reported(job(), report(2))
    tracker.started(job())
    tracker.reported(job(), report(2, miou=0.9))
    assert points(tracker, "trial-0000", "miou") == [(2, 0.3)]


def test_runs_that_a_killed_driver_left_running_get_their_outcome(tracker: Tracker) -> None:
    tracker.open_study("street", {}, {})
    for number in range(4):
        tracker.started(job(f"trial-000{number}"))
    again = Tracker()
    outcomes = {"trial-0000": "completed", "trial-0001": "failed", "trial-0002": "pruned"}
    again.open_study("street", {}, outcomes)
    statuses = [run(again, f"trial-000{number}").info.status for number in range(4)]
    assert statuses == ["FINISHED", "FAILED", "FINISHED", "KILLED"]


def test_trials_of_two_studies_are_kept_apart(tracker: Tracker) -> None:
    tracker.open_study("one", {}, {})
    tracker.started(job())
    other = Tracker()
    other.open_study("two", {}, {})
    other.started(job())
    assert other.run_of("trial-0000") != tracker.run_of("trial-0000")
    assert run(tracker, "trial-0000").info.status == "RUNNING"


def test_completed_job_gets_its_picture(tracker: Tracker, tmp_path: Path) -> None:
    done = job(folder=str(tmp_path / "job"))
    storage.write_bytes(storage.join(done.folder, PANEL_FILE), b"png")
    tracker.started(done)
    tracker.ended(done, RunResult("completed", {}))
    listed = tracker.client.list_artifacts(tracker.run_of(done.name))
    assert [item.path for item in listed] == [PANEL_FILE]


def test_number_is_noted_once(tracker: Tracker) -> None:
    tracker.started(job())
    for value in (0.5, 0.5, 0.6):
        tracker.note(tracker.run_of("trial-0000"), "test_miou", value)
    assert [v for _, v in points(tracker, "trial-0000", "test_miou")] == [0.5, 0.6]


def test_run_that_is_not_there_says_what_to_check(tracker: Tracker) -> None:
    with pytest.raises(UserError, match="no run of trial-0009; set MLFLOW_TRACKING_URI"):
        tracker.run_of("trial-0009")


class Flaky:
    """A client in front of a real one that raises `error` while it is set."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if self.error:
                raise self.error
            return getattr(self.client, name)(*arguments, **named)

        return call


@pytest.fixture
def flaky(tracker: Tracker) -> Flaky:
    tracker.client = Flaky(tracker.client)
    return tracker.client


@pytest.mark.parametrize("error", [SILENT, ConnectionError("gone")])
def test_while_the_server_is_silent_all_is_kept_and_later_sent_in_order(
    tracker: Tracker, flaky: Flaky, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker.open_study("street", {}, {})
    flaky.error = error
    tracker.started(job())
    tracker.reported(job(), report(2))
    assert not tracker.flush()
    warnings = capsys.readouterr().err.splitlines()
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: MLflow: ")
    assert "s3cret" not in warnings[0]
    flaky.error = None
    tracker.reported(job(), report(4))
    tracker.ended(job(), RunResult("completed", {}))
    assert tracker.flush()
    assert [step for step, _ in points(tracker, "trial-0000", "miou")] == [2, 4]
    assert run(tracker, "trial-0000").info.status == "FINISHED"
    assert run(tracker, "trial-0000").data.params


def test_silence_between_making_a_run_and_describing_it_loses_nothing(
    tracker: Tracker, flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.open_study("street", {}, {})

    def log_batch(*arguments: Any, **named: Any) -> None:
        monkeypatch.undo()
        raise SILENT

    monkeypatch.setattr(flaky, "log_batch", log_batch, raising=False)
    tracker.started(job())
    assert tracker.flush()
    assert run(tracker, "trial-0000").data.params["training.lr"] == "0.01"


def test_refusal_is_one_line_at_once_and_holds_up_nothing(tracker: Tracker, flaky: Flaky) -> None:
    tracker.open_study("street", {}, {})
    flaky.error = MlflowException("no such run\nTraceback", error_code=1001)
    flaky.error.error_code = "INVALID_PARAMETER_VALUE"
    with pytest.raises(UserError) as error:
        tracker.started(job())
    assert str(error.value) == "MLflow refused a request: no such run"
    flaky.error = None
    tracker.close_study("KILLED")
    assert tracker.client.get_run(tracker.parent).info.status == "KILLED"
    with pytest.raises(UserError, match="no run of trial-0000"):  # it was not asked for again
        tracker.run_of("trial-0000")


def test_silence_while_opening_a_study_is_one_line(tracker: Tracker, flaky: Flaky) -> None:
    flaky.error = SILENT
    with pytest.raises(UserError, match="MLflow does not answer; run the same command") as error:
        tracker.open_study("street", {}, {})
    assert "s3cret" not in str(error.value)
    with pytest.raises(UserError, match="MLflow does not answer"):
        tracker.run_of("trial-0000")
