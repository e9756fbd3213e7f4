"""What a job asks of Ray Train, and what a failed run is told to have failed of."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.train
import ray.tune
from ray.tune.integration import ray_train

from afdcd.config import UserError
from afdcd.training import launch
from afdcd.training.launch import _cause, build_trainer, run_job
from tests.examples import job

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
    assert run.failure_config.max_failures == 2
    assert run.callbacks == [listener]
    assert trainer.train_loop_config == plain


def test_resources_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    plain = _plain(tmp_path)
    plain["config"]["resources"]["workers"] = 0
    with pytest.raises(UserError, match="workers: input should be greater than 0"):
        build_trainer(plain, gpu=False, callbacks=[])


def test_a_failed_run_is_reported_and_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tune would start the whole trial again."""

    def fit() -> None:
        raise ray.train.WorkerGroupError("1 of 2 died", {1: RuntimeError("Traceback\nout of luck")})

    told: list[dict[str, Any]] = []
    monkeypatch.setattr(launch, "build_trainer", lambda *_, **__: SimpleNamespace(fit=fit))
    monkeypatch.setattr(ray.tune, "report", told.append)
    monkeypatch.setattr(ray_train, "TuneReportCallback", SimpleNamespace)  # needs a Tune session
    run_job({"job": _plain(tmp_path), "gpu": False})
    assert [report["failed"] for report in told] == ["out of luck"]
    assert told[0]["iteration"] == 0


def test_cause_is_the_last_line_of_the_workers_own_error() -> None:
    failed = SimpleNamespace(worker_failures={1: "Traceback\n  x\nValueError: y\n"})
    assert _cause(failed) == "ValueError: y"
    assert _cause(RuntimeError("first\nlast")) == "last"
    assert _cause(RuntimeError("")) == "RuntimeError"
