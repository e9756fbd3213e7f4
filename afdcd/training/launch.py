"""From a job to the TorchTrainer that runs it.

Two helper processes per run import this module and no more: networks and data are the workers' to
import, which saves each trial seconds.
"""

from typing import Any

import ray.train
from ray.train.torch import TorchTrainer

from afdcd.config import validate
from afdcd.training.resources import ResourcesConfig


def build_trainer(
    job: dict[str, Any], *, gpu: bool, callbacks: list[ray.train.UserCallback]
) -> TorchTrainer:
    """A trainer that continues from the job's last checkpoint if there is one.

    Ray Train finds the checkpoint by storage path and run name, hence one folder per job.

    Args:
        job: a `Job` as plain values.
    """
    resources = validate(ResourcesConfig, job["config"]["resources"])
    per_worker = {"CPU": resources.cpus, **({"GPU": 1.0} if gpu else {})}
    return TorchTrainer(
        _work,
        train_loop_config=job,
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.workers, use_gpu=gpu, resources_per_worker=per_worker
        ),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=job["folder"],
            callbacks=callbacks,
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            failure_config=ray.train.FailureConfig(max_failures=2),
        ),
    )


def run_job(config: dict[str, Any]) -> None:
    """The Tune trainable: one Ray Train run. A failed run is reported, never retried as a whole.

    Args:
        config: `job`, a `Job` as plain values, and `gpu`, whether its workers take one each.
    """
    from ray.tune.integration.ray_train import TuneReportCallback

    trainer = build_trainer(config["job"], gpu=config["gpu"], callbacks=[TuneReportCallback()])
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        ray.tune.report({"failed": _cause(error), "miou": float("nan"), "iteration": 0})


def _work(job: dict[str, Any]) -> None:
    from afdcd.training.worker import train_loop

    train_loop(job)


def _cause(error: ray.train.TrainingFailedError) -> str:
    """The last line of the first worker's own error; the whole of it is in Ray's logs."""
    failures = getattr(error, "worker_failures", None) or {0: error}
    text = str(next(iter(failures.values()))).strip()
    return text.splitlines()[-1] if text else type(error).__name__
