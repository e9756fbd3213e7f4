"""A run outside of a study: a teacher, or `afdcd train`."""

from afdcd.search.cluster import Cluster
from afdcd.search.lease import Lease
from afdcd.search.loop import Loop, Watcher
from afdcd.search.losses import Loss, ends
from afdcd.search.progress import Progress
from afdcd.search.records import Recorder
from afdcd.tracking.tracker import Tracker
from afdcd.training.job import Job, Report, RunResult


def run_alone(job: Job, tracker: Tracker, cluster: Cluster, lease: Lease) -> RunResult | None:
    """How a run ended, MLflow told of it; None if it was interrupted.

    Raises:
        UserError: the cluster has no place for it, and what ends a study, too.
    """
    cluster.capacity(job.config.resources)
    source, progress = OneRun(job), Progress()
    try:
        watchers: list[Watcher] = [Recorder(tracker), progress]
        Loop(source, watchers, cluster, lease).run(job.folder, concurrency=1)
    finally:
        progress.close()
    if source.result:
        tracker.deliver()
    return source.result


class OneRun:
    """The source of a single run. A lost one goes on."""

    def __init__(self, job: Job) -> None:
        self._job: Job | None = job
        self._losses: list[Loss] = []
        self.result: RunResult | None = None

    def next(self) -> Job | None:
        job, self._job = self._job, None
        return job

    def stirred(self) -> bool:
        return False

    def report(self, job: Job, report: Report) -> bool:
        return False

    def end(self, job: Job, result: RunResult) -> None:
        self.result = None if result.outcome == "killed" else result
        if result.outcome == "lost":
            at = result.last.iteration if result.last else 0
            self._losses.append(Loss(result.cause, result.fault or "machine", at))
            if not ends(self._losses):
                self._job = job
