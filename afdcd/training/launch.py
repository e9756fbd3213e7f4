"""From a job to the TorchTrainer that runs it.

Two helper processes per run import this module and no more: networks and data are the workers' to
import, which saves each trial seconds.
"""

from typing import TYPE_CHECKING, Any

import ray.train
from ray.train.torch import TorchTrainer

from afdcd import storage
from afdcd.config import validate
from afdcd.training.resources import ResourcesConfig

if TYPE_CHECKING:
    from afdcd.training.job import Failure, Fault

FAULTS: tuple["Fault", ...] = ("setting", "data", "memory", "machine")  # what says most comes first
TRAIN = "train"  # where Ray Train keeps a run's checkpoints, in the folder of the job
# What is said of checkpoints that are gone or damaged: by Ray Train, and by afdcd.training.checkpoint.
UNUSABLE = (
    "CheckpointManagerInitializationError",
    "no usable checkpoint",
    "checkpoint is damaged",
)
DIED = ("ActorDiedError", "NodeDiedError", "WorkerCrashedError", "WorkerHealthCheckFailedError")
USER_ERROR = "UserError: "  # of afdcd.config: the data or a file is not as it should be
# The host's memory, as Ray's own watch and the allocators say it. What the kernel kills tells no more
# than what a lost machine does.
OUT_OF_MEMORY = (
    "MemoryError",  # Ray's OutOfMemoryError, Python's, numpy's and pyarrow's
    "can't allocate memory",
    "Cannot allocate memory",
    "bad_alloc",
)
# The device's, as torch, the CUDA runtime and the libraries on top of it say it.
DEVICE_FULL = (
    "CUDA out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def build_trainer(
    job: dict[str, Any], *, gpu: bool, callbacks: list[ray.train.UserCallback]
) -> TorchTrainer:
    """A trainer that continues from the job's last checkpoint if there is one.

    Ray Train finds the checkpoint by storage path and run name, hence one folder per job.

    Args:
        job: a `Job` as plain values.
    """
    resources = validate(ResourcesConfig, job["config"]["resources"])
    return TorchTrainer(
        _work,
        train_loop_config=job,
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=gpu,
            resources_per_worker=resources.bundle(gpu=gpu),
        ),
        run_config=ray.train.RunConfig(
            name=TRAIN,
            storage_path=job["folder"],
            callbacks=callbacks,
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            # Every failure is told: who tries again, and how often, is the search's to decide.
            failure_config=ray.train.FailureConfig(max_failures=0),
        ),
    )


def run_job(config: dict[str, Any]) -> None:
    """The Tune trainable: one Ray Train run. A failed run is reported, never retried here.

    Args:
        config: `job`, a `Job` as plain values, and `gpu`, whether its workers take one each.
    """
    from ray.tune.integration.ray_train import TuneReportCallback

    def fit() -> None:
        callbacks = [TuneReportCallback()]
        build_trainer(config["job"], gpu=config["gpu"], callbacks=callbacks).fit()

    try:
        try:
            fit()
        except Exception as error:
            text = " ".join(map(str, (error, *getattr(error, "worker_failures", {}).values())))
            if not any(word in text for word in UNUSABLE):
                raise
            # Nothing can be taken from there, so the run begins anew rather than never.
            storage.remove_folder(storage.join(config["job"]["folder"], TRAIN))
            fit()
    except ray.train.TrainingFailedError as error:
        from afdcd.training.job import said

        ray.tune.report(said(failure_of(error)))


def _work(job: dict[str, Any]) -> None:
    from afdcd.training.worker import train_loop

    train_loop(job)


def failure_of(error: ray.train.TrainingFailedError) -> "Failure":
    """What ended a run, in one line; the whole is in Ray's logs.

    One worker's error breaks off the others', so theirs only count where nothing says more.
    """
    from afdcd.training.job import Failure

    causes = list((getattr(error, "worker_failures", None) or {0: error}).values())
    faults = [fault_of(f"{type(cause).__name__}: {cause}") for cause in causes]
    fault = min(faults, key=FAULTS.index)
    cause = causes[faults.index(fault)]
    if type(cause).__name__ in DIED:
        return Failure(failed="a worker was killed, or its machine is gone", fault=fault)
    lines = str(cause).strip().splitlines()
    return Failure(failed=lines[-1] if lines else type(cause).__name__, fault=fault)


def fault_of(error: str) -> "Fault":
    """Whose fault it is, by the text of a worker's error: see `afdcd.training.job.Fault`."""
    if any(word in error for word in DEVICE_FULL):
        return "setting"
    if USER_ERROR in error:
        return "data"
    return "memory" if any(word in error for word in OUT_OF_MEMORY) else "machine"
