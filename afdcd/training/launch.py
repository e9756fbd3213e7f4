"""From a job to the TorchTrainer that runs it.

Two helper processes per run import this module and no more: networks and data are the workers' to
import, which saves each trial seconds.
"""

import time
from typing import TYPE_CHECKING, Any

import ray.train
from ray.train.torch import TorchTrainer

from afdcd.config import UserError, validate
from afdcd.text import first_line
from afdcd.training.resources import ResourcesConfig
from afdcd.training.resume import TRAIN, newest_checkpoint
from afdcd.version import check_code

if TYPE_CHECKING:
    from afdcd.training.job import Failure, Fault

# What says most comes first. A worker whose node is taken away breaks off the others.
FAULTS: tuple["Fault", ...] = ("setting", "data", "memory", "drain", "machine")
DIED = (
    *("ActorDiedError", "NodeDiedError", "WorkerCrashedError", "WorkerHealthCheckFailedError"),
    "WorkerGroupStartupFailedError",
)
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
    job: dict[str, Any], *, gpu: bool, callbacks: list[ray.train.UserCallback], code: str = ""
) -> TorchTrainer:
    """A trainer that continues from the job's `checkpoint` if it has one.

    Args:
        job: a `Job` as plain values.
        code: `code_sha256` of the driver, which workers must have, too; empty if any will do.
    """
    resources = validate(ResourcesConfig, job["config"]["resources"])
    return TorchTrainer(
        _work,
        train_loop_config={"job": job, "code": code},
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
            failure_config=ray.train.FailureConfig(max_failures=0, max_preemption_failures=0),
        ),
    )


def run_job(config: dict[str, Any]) -> None:
    """The Tune trainable: one Ray Train run. A failed run is reported, never retried here.

    Args:
        config: `job`, a `Job` as plain values; `gpu`, whether its workers take one each; `code`, the
            driver's `code_sha256`.
    """
    from ray.tune.integration.ray_train import TuneReportCallback

    try:
        checkpoint = newest_checkpoint(config["job"]["folder"])
    except (OSError, UserError) as error:  # the store's fault: nothing is lost once it is back
        from afdcd.training.job import Failure, said

        cause = f"its checkpoints cannot be read ({first_line(error)})"
        ray.tune.report(said(Failure(failed=cause, fault="machine")))
        return
    job = {**config["job"], "checkpoint": checkpoint}
    try:
        callbacks: list[ray.train.UserCallback] = [TuneReportCallback()]
        build_trainer(job, gpu=config["gpu"], callbacks=callbacks, code=config["code"]).fit()
    except ray.train.TrainingFailedError as error:
        from afdcd.training.job import said

        ray.tune.report(said(failure_of(error)))


def _work(given: dict[str, Any]) -> None:
    began = time.time()  # the imports take seconds for which the devices are held, too
    check_code(given["code"])
    from afdcd.training.worker import train_loop

    train_loop(given["job"], began)


def failure_of(error: ray.train.TrainingFailedError) -> "Failure":
    """What ended a run, in one line; the whole is in Ray's logs.

    One worker's error breaks off the others', so theirs only count where nothing says more.
    """
    from afdcd.training.job import Failure

    # A worker that dies while the workers start is an error of Ray Train's controller.
    alone = getattr(error, "controller_failure", error)
    causes = list((getattr(error, "worker_failures", None) or {0: alone}).values())
    faults = [
        "drain" if _is_drained(cause) else fault_of(f"{type(cause).__name__}: {cause}")
        for cause in causes
    ]
    fault = min(faults, key=FAULTS.index)
    cause = causes[faults.index(fault)]
    if fault == "drain":
        return Failure(failed="its node was drained before it had saved", fault=fault)
    if type(cause).__name__ in DIED:
        return Failure(failed="a worker was killed, or its machine is gone", fault=fault)
    lines = str(cause).strip().splitlines()
    return Failure(failed=lines[-1] if lines else type(cause).__name__, fault=fault)


def _is_drained(cause: Any) -> bool:
    """Whether a node that was being drained took a worker with it, or the time for leaving was over."""
    died = getattr(cause, "health_check_failure", cause)
    return isinstance(cause, ray.train.PreemptionError) or bool(getattr(died, "preempted", False))


def fault_of(error: str) -> "Fault":
    """Whose fault it is, by the text of a worker's error: see `afdcd.training.job.Fault`."""
    if any(word in error for word in DEVICE_FULL):
        return "setting"
    if USER_ERROR in error:
        return "data"
    return "memory" if any(word in error for word in OUT_OF_MEMORY) else "machine"
