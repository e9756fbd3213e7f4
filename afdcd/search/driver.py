"""Runs jobs on the cluster through Ray Tune: what to run comes from a source, what happens goes to listeners.

Tune schedules, restarts and stops; the decisions and the record of them are the source's, so
nothing that Tune saves is ever read back.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from afdcd import environment
from afdcd.config import validate
from afdcd.search.cluster import TRIAL_RESOURCES, Cluster
from afdcd.search.reclaim import Reclaimer
from afdcd.training.job import Job, RunResult
from afdcd.training.launch import run_job


class JobSource(Protocol):
    """Where jobs come from and who decides about them."""

    def next(self) -> Job | None: ...

    def report(self, job: Job, iteration: int, miou: float) -> bool:
        """True if the job should stop."""

    def finish(self, job: Job, end: RunResult) -> None: ...


class Listener(Protocol):
    """Who is told what happens. A restarted job is announced again."""

    def started(self, job: Job) -> None: ...

    def reported(self, job: Job, result: dict[str, Any]) -> None: ...

    def ended(self, job: Job, end: RunResult) -> None: ...

    def interrupted(self) -> None:
        """All live jobs have ended as killed; this process may have a second left."""


class OneJob:
    """The source for a single run: a teacher, or `afdcd.train`."""

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job
        self.end: RunResult | None = None

    def next(self) -> Job | None:
        job, self._job = self._job, None
        return job

    def report(self, job: Job, iteration: int, miou: float) -> bool:
        return False

    def finish(self, job: Job, end: RunResult) -> None:
        self.end = end


def run_jobs(
    source: JobSource,
    listeners: list[Listener],
    cluster: Cluster,
    *,
    folder: str,
    concurrency: int,
) -> bool:
    """Run jobs until the source has no more.

    Args:
        folder: path or URI for Tune's own logs.
        concurrency: jobs at the same time.

    Returns:
        False if the run was interrupted (Ctrl-C, `ray job stop`); unfinished jobs are then told
        to the listeners as killed, and stay unfinished in the source.
    """
    environment.set_defaults(environment.TUNE_DEFAULTS)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # every end is told by the relay
    relay = _Relay(listeners, cluster.stopping, Reclaimer(cluster.api).look)
    tune.run(
        run_job,
        config={},
        search_alg=_Adapter(source, gpu=cluster.uses_gpu),
        scheduler=_Stopper(source),
        callbacks=[relay],
        num_samples=-1,
        max_concurrent_trials=concurrency,
        resources_per_trial=tune.PlacementGroupFactory([TRIAL_RESOURCES]),
        storage_path=folder,
        name="tune",
        max_failures=1,
        raise_on_failed_trial=False,
        reuse_actors=False,
        verbose=0,
    )
    if relay.live:  # Ctrl-C
        relay.interrupt()
    return not relay.interrupted


def _end(job: Job, result: dict[str, Any], error: bool = False) -> RunResult:
    if error:
        return RunResult("failed", result, "its process died twice; see the Ray logs")
    if result.get("failed"):
        return RunResult("failed", result, result["failed"])
    if result.get("iteration") == job.config.training.iterations:
        return RunResult("completed", result)
    return RunResult("pruned", result)


class _Adapter(Searcher):
    """A JobSource behind Tune's Searcher interface."""

    def __init__(self, source: JobSource, gpu: Any) -> None:
        super().__init__(metric="miou", mode="max")
        self._source = source
        self._gpu = gpu
        self._jobs: dict[str, Job] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        job = self._source.next()
        if job is None:
            return Searcher.FINISHED
        self._jobs[trial_id] = job
        return {"job": job.plain(), "gpu": self._gpu(job.config.resources)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        job = self._jobs.pop(trial_id)
        self._source.finish(job, _end(job, result or {}, error))

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the source keeps its own record."""

    def restore(self, checkpoint_path: str) -> None:
        """Never used: a new driver asks the source."""


class _Stopper(FIFOScheduler):
    """Asks the source after every report whether the job goes on."""

    def __init__(self, source: JobSource) -> None:
        super().__init__()
        self._source = source

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        job = validate(Job, trial.config["job"])
        if result.get("failed") or self._source.report(job, result["iteration"], result["miou"]):
            return self.STOP
        return self.CONTINUE


class _Relay(tune.Callback):
    """Tune's callbacks, as the listeners want them."""

    def __init__(
        self, listeners: list[Listener], stopping: threading.Event, reclaim: Callable[[], None]
    ) -> None:
        self._listeners = listeners
        self._stopping = stopping
        self._reclaim = reclaim
        self.live: dict[str, Job] = {}
        self.interrupted = False

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        # At once: Ray kills a stopped job's driver after 3 s, and Tune takes 2 to wind up.
        if self._stopping.is_set() and not self.interrupted:
            self.interrupt()
        self._reclaim()

    def interrupt(self) -> None:
        self.interrupted = True
        for job in self.live.values():
            for listener in self._listeners:
                listener.ended(job, RunResult("killed", {}, "run the same command to go on"))
        for listener in self._listeners:
            listener.interrupted()

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        job = self.live[trial.trial_id] = validate(Job, trial.config["job"])
        for listener in self._listeners:
            listener.started(job)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict, **info: Any
    ) -> None:
        for listener in self._listeners:
            listener.reported(self.live[trial.trial_id], result)

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._ended(trial, error=False)

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._ended(trial, error=True)

    def _ended(self, trial: Trial, error: bool) -> None:
        if trial.trial_id not in self.live:  # its process could not even start
            self.on_trial_start(0, [], trial)
        job = self.live.pop(trial.trial_id)
        end = _end(job, trial.last_result or {}, error)
        for listener in self._listeners:
            listener.ended(job, end)
