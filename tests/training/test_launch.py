"""What a job asks of Ray Train, and what a failed run is told to have failed of."""

import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.train
import ray.tune
from ray.exceptions import RayActorError
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.tune.integration import ray_train

from afdcd import storage
from afdcd.config import UserError
from afdcd.training import launch
from afdcd.training.job import Failure, message_of, result_of
from afdcd.training.launch import build_trainer, fault_of, run_job
from tests.examples import job
from tests.training.test_resume import write_checkpoint

WORKERS = {"resources__workers": 2, "resources__cpus_per_worker": 3}


def _plain(folder: Path, **changes: Any) -> dict[str, Any]:
    return job(folder=str(folder), **changes).plain()


@pytest.mark.parametrize(("gpu", "each"), [(False, {"CPU": 3}), (True, {"CPU": 3, "GPU": 1.0})])
def test_each_worker_reserves_what_the_configuration_says(
    tmp_path: Path, gpu: bool, each: dict[str, float]
) -> None:
    scaling = build_trainer(_plain(tmp_path, **WORKERS), gpu=gpu, callbacks=[]).scaling_config
    assert (scaling.num_workers, scaling.use_gpu) == (2, gpu)
    assert scaling.resources_per_worker == each


def test_a_job_is_found_again_by_its_folder_and_hears_of_each_report(tmp_path: Path) -> None:
    listener = ray.train.UserCallback()
    plain = _plain(tmp_path)
    trainer = build_trainer(plain, gpu=False, callbacks=[listener])
    run = trainer.run_config
    assert (run.storage_path, run.name) == (str(tmp_path), "train")
    assert run.checkpoint_config.num_to_keep == 1  # a long run must not fill the disk
    assert run.failure_config.max_failures == 0  # who tries again is not Train's to decide
    assert run.failure_config.max_preemption_failures == 0  # by default without end
    assert run.callbacks == [listener]
    assert trainer.train_loop_config == {"job": plain, "code": ""}


def test_resources_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    plain = _plain(tmp_path)
    plain["config"]["resources"]["workers"] = 0
    with pytest.raises(UserError, match="workers: input should be greater than 0"):
        build_trainer(plain, gpu=False, callbacks=[])


def _failed(
    monkeypatch: pytest.MonkeyPatch, error: Exception, folder: str = "nowhere"
) -> dict[str, Any]:
    """What a run of which Train raises this reports."""

    def fit() -> None:
        raise error

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(launch, "build_trainer", lambda *_, **__: SimpleNamespace(fit=fit))
    monkeypatch.setattr(ray.tune, "report", told.append)
    monkeypatch.setattr(ray_train, "TuneReportCallback", SimpleNamespace)  # needs a Tune session
    run_job({"job": job(folder=folder).plain(), "gpu": False, "code": ""})
    (report,) = told
    return report


def test_a_failed_run_is_reported_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tune would start the whole trial again."""
    died = {1: RuntimeError("Traceback\nout of luck")}
    report = _failed(monkeypatch, ray.train.WorkerGroupError("1 of 2 died", died))
    assert message_of({**report, "training_iteration": 1}) == Failure(
        failed="out of luck", fault="machine"
    )


def test_the_error_that_says_most_counts_whichever_worker_had_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    died = {0: RuntimeError("connection closed by peer"), 1: UserError("row 7: cannot be read")}
    report = _failed(monkeypatch, ray.train.WorkerGroupError("2 of 2 died", died))
    assert message_of(report) == Failure(failed="row 7: cannot be read", fault="data")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (ray.train.WorkerGroupError("", {1: "Traceback\n  x\nValueError: y\n"}), "ValueError: y"),
        (ray.train.TrainingFailedError("first\nlast"), "last"),
        (ray.train.TrainingFailedError(""), "TrainingFailedError"),
    ],
)
def test_cause_is_the_last_line_of_the_workers_own_error(
    error: Exception, cause: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert message_of(_failed(monkeypatch, error)).failed == cause


@pytest.mark.parametrize("name", ["ActorDiedError", "WorkerGroupStartupFailedError"])
def test_a_worker_that_dies_while_the_workers_start_is_told_as_any_other(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Ray Train takes it for an error of its own, and says it in many lines."""
    inner = type(name, (Exception,), {})("One of the workers failed:\n  Traceback\n  x\n")
    report = _failed(monkeypatch, ray.train.ControllerError(inner))
    expected = "a worker was killed, or its machine is gone"
    assert message_of(report) == Failure(failed=expected, fault="machine")


def _preempted() -> Exception:
    """A worker that died with its node, while it was being drained."""
    died = RayActorError(preempted=True)
    return WorkerHealthCheckFailedError("a worker is gone", died)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ray.train.PreemptionError(ray.train.PreemptionInfo(1, {"n": [0]}), True), "drain"),
        (ray.train.WorkerGroupError("", {0: RuntimeError("reset"), 1: _preempted()}), "drain"),
        (ray.train.WorkerGroupError("", {0: UserError("row 7"), 1: _preempted()}), "data"),
        (
            ray.train.WorkerGroupError("", {0: WorkerHealthCheckFailedError("x", OSError())}),
            "machine",
        ),
    ],
    ids=["the time was over", "its node was gone first", "something says more", "no drain"],
)
def test_a_node_that_is_drained_before_a_run_has_saved_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, error: Exception, fault: str
) -> None:
    told = message_of(_failed(monkeypatch, error))
    assert isinstance(told, Failure)
    assert told.fault == fault
    assert (told.failed == "its node was drained before it had saved") == (fault == "drain")
    assert result_of(4, None, told).saved == 0


TRIED = "Tried to allocate 2.00 GiB"


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (f"torch.OutOfMemoryError: CUDA out of memory. {TRIED}", "setting"),
        ("torch.AcceleratorError: CUDA error: out of memory", "setting"),
        ("RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "setting"),
        ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling", "setting"),
        ("afdcd.config.UserError: shards/x: no such data set; prepare it", "data"),
        ("ray.exceptions.OutOfMemoryError: Task was killed, the node runs low", "memory"),
        ("RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried", "memory"),
        ("OSError: [Errno 12] Cannot allocate memory", "memory"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB", "memory"),
        ("RuntimeError: std::bad_alloc", "memory"),
        ("ray.exceptions.ActorDiedError: the node it ran on is gone", "machine"),
        ("RuntimeError: CUDA error: an illegal memory access was encountered", "machine"),
    ],
)
def test_a_failed_run_says_whose_fault_it_was(
    error: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = f"Traceback (most recent call last):\n  File x\n{error}\n"
    assert fault_of(whole) == fault
    died = ray.train.WorkerGroupError("1 of 1 died", {0: whole})
    assert message_of(_failed(monkeypatch, died)).fault == fault


def test_a_users_mistake_is_known_by_its_own_name() -> None:
    """By the words that a traceback has for it."""
    lines = traceback.format_exception_only(UserError("no such data set"))
    assert fault_of("".join(lines)) == "data"


def test_each_attempt_goes_on_from_the_newest_whole_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begun: list[str | None] = []

    def trainer(plain: dict[str, Any], **_: Any) -> Any:
        return SimpleNamespace(fit=lambda: begun.append(plain["checkpoint"]))

    monkeypatch.setattr(launch, "build_trainer", trainer)
    monkeypatch.setattr(ray_train, "TuneReportCallback", SimpleNamespace)
    config = {"job": _plain(tmp_path), "gpu": False, "code": ""}
    run_job(config)
    for iteration in (2, 4):
        write_checkpoint(tmp_path, iteration)
    (tmp_path / "train" / "iteration_000004" / "state.json").write_text("{")
    run_job(config)
    assert begun == [None, str(tmp_path / "train" / "iteration_000002")]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), UserError("s3: no answer")])
def test_a_store_that_does_not_answer_costs_no_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    """It is the machine's fault, so the run goes on later."""
    kept = write_checkpoint(tmp_path, 2)

    def away(uri: str) -> bytes:
        raise error

    monkeypatch.setattr(storage, "sha256", away)
    told = message_of(_failed(monkeypatch, AssertionError("it was started"), str(tmp_path)))
    assert isinstance(told, Failure)
    assert told.fault == "machine"
    assert "its checkpoints cannot be read" in told.failed
    assert (kept / "state.json").exists()


def test_other_errors_leave_the_checkpoints_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = write_checkpoint(tmp_path, 2)
    with pytest.raises(RuntimeError, match="something else"):
        _failed(monkeypatch, RuntimeError("something else"), str(tmp_path))
    assert (kept / "state.json").exists()
