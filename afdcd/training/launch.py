"""From a job to the TorchTrainer that runs it."""

import ray.train
from ray.train.torch import TorchTrainer

from afdcd.training.job import Job
from afdcd.training.worker import train_loop


def build_trainer(job: Job, *, gpu: bool, callbacks: list[ray.train.UserCallback]) -> TorchTrainer:
    """A trainer that continues from the job's last checkpoint if there is one.

    Ray Train finds the checkpoint by storage path and run name, hence one folder per job.
    """
    resources = job.config.resources
    per_worker = {"CPU": resources.cpus_per_worker, **({"GPU": 1.0} if gpu else {})}
    return TorchTrainer(
        train_loop,
        train_loop_config=job.plain(),
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.workers, use_gpu=gpu, resources_per_worker=per_worker
        ),
        run_config=ray.train.RunConfig(
            name="train",
            storage_path=job.folder,
            callbacks=callbacks,
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            failure_config=ray.train.FailureConfig(max_failures=2),
        ),
    )
