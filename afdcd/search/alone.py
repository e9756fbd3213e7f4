"""A run outside of a study: a teacher, or `afdcd train`."""

from afdcd import storage
from afdcd.search.cluster import Cluster
from afdcd.search.housekeeping import Housekeeper
from afdcd.search.lease import Lease
from afdcd.search.loop import Loop, Watcher
from afdcd.search.losses import Loss, ends
from afdcd.search.progress import Progress
from afdcd.search.records import Recorder
from afdcd.tracking.tracker import Tracker
from afdcd.training import journal
from afdcd.training.artifacts import STUDENT_FILE, trouble_with
from afdcd.training.job import Job, Report, RunResult, result_of


def run_alone(job: Job, tracker: Tracker, cluster: Cluster, lease: Lease) -> RunResult | None:
    """How a run ended, MLflow told of it; None if it was interrupted.

    Raises:
        UserError: the cluster has no place for it, and what ends a study, too.
    """
    recorder, progress, housekeeper = Recorder(tracker), Progress(), Housekeeper()
    try:
        result = finished_before(job)
        if result:
            recorder.ended(job, result)
            housekeeper.ended(job, result)
        else:
            cluster.capacity(job.config.resources)
            source = OneRun(job)
            watchers: list[Watcher] = [recorder, progress, housekeeper]
            Loop(source, watchers, cluster, lease).run(job.folder, concurrency=1)
            result = source.result
    finally:
        progress.close()
        housekeeper.close()
    if result:
        tracker.deliver()
    return result


def finished_before(job: Job) -> RunResult | None:
    """How a run ended whose last report and own weights lie in its folder."""
    iterations = job.config.training.iterations
    reports = journal.read(job.folder, after=iterations - 1)
    weights, prepares = storage.join(job.folder, STUDENT_FILE), job.config.distiller.PREPARES
    if not reports or trouble_with(weights, job.identity, prepares=prepares):
        return None
    return result_of(iterations, reports[-1], None)


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
