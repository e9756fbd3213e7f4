"""The loop between a source of runs and Ray Tune: proposes, starts, listens, stops.

Tune places and starts processes, no more. What is run, whether it goes on, and what becomes of a lost
run is the source's to decide, and nothing that Tune saves is ever read back.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from ray import tune
from ray.tune.search import Searcher

from afdcd import environment
from afdcd.config import UserError
from afdcd.search.cluster import TRIAL_RESOURCES, Cluster
from afdcd.search.lease import Lease
from afdcd.search.patience import briefly
from afdcd.search.reclaim import Reclaimer
from afdcd.search.say import say
from afdcd.search.tune_asks import Listening, Proposing, Starting, Stopping
from afdcd.search.waiting import Waits, sight
from afdcd.search.watchdog import Watchdog
from afdcd.training import pulse
from afdcd.training.job import Failure, Job, Report, RunResult, message_of, result_of
from afdcd.training.launch import run_job
from afdcd.version import code_sha256

LOOK = 3.0  # seconds between two looks at what people want


class Source(Protocol):
    """Where runs come from, and who decides about them: a `Study`, or `OneRun`."""

    def next(self) -> Job | None:
        """The next run; None if there is none now. Asked again after a run has ended."""

    def report(self, job: Job, report: Report) -> bool:
        """Note a validation; True if the run should be paused."""

    def end(self, job: Job, result: RunResult) -> None:
        """Note how a run ended; one that is to go on is proposed again."""

    def stirred(self) -> bool:
        """Whether there may be a next run again, where there was none."""


class Watcher(Protocol):
    """Who is told what happens, after it was decided. A run that goes on is started again."""

    def started(self, job: Job) -> None: ...

    def reported(self, job: Job, report: Report) -> None: ...

    def ended(self, job: Job, result: RunResult) -> None: ...

    def interrupted(self) -> None:
        """All live runs have ended as killed; this process may have a second left."""


class Loop:
    """One driver's share of a study, or a single run. Read from top to bottom.

    Args:
        stop_wanted: who wants it to end in order; empty if nobody does.
    """

    def __init__(
        self,
        source: Source,
        watchers: list[Watcher],
        cluster: Cluster,
        lease: Lease,
        stop_wanted: Callable[[], str] = lambda: "",
    ) -> None:
        self._source, self._watchers, self._cluster = source, watchers, cluster
        self._lease, self._stop_wanted = lease, stop_wanted
        self._next_look, self._code = 0.0, code_sha256()
        self._reclaimer = Reclaimer(cluster.api)
        self._watchdog = Watchdog()
        self._waits = Waits(sight, say, self._watchdog.has_place)
        self._end: dict[str, Callable[[], None]] = {}  # Tune's trial id -> what ends it
        self._runs: dict[str, _Run] = {}  # Tune's trial id -> the run, from its proposal to its end
        self._dry = False  # nothing to propose until a run ends
        self.interrupted = False
        self.error: UserError | None = None

    def run(self, folder: str, concurrency: int) -> bool:
        """Run until the source has no more; False if it was interrupted (Ctrl-C, `ray job stop`).

        Args:
            folder: path or URI for Tune's own logs.
            concurrency: runs at the same time.

        Raises:
            UserError: what the source stopped for.
        """
        environment.set_defaults(environment.TUNE_DEFAULTS)
        logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # every end is told by this loop
        self._cluster.looping.set()
        self._watchdog.start()
        try:
            self._tune(folder, concurrency)
        finally:
            self._watchdog.stop()
            self._cluster.looping.clear()
        if self._cluster.stopping.is_set() and not self.interrupted:
            self.interrupt()
        if self.error:
            raise self.error
        return not self.interrupted

    def _tune(self, folder: str, concurrency: int) -> None:
        tune.run(
            run_job,
            config={},
            search_alg=Proposing(self),
            scheduler=Listening(self),
            callbacks=[Starting(self)],
            stop=Stopping(self),
            num_samples=-1,
            max_concurrent_trials=concurrency,
            resources_per_trial=tune.PlacementGroupFactory([TRIAL_RESOURCES]),
            storage_path=folder,
            name="tune",
            max_failures=0,
            raise_on_failed_trial=False,
            reuse_actors=False,
            verbose=0,
        )

    def propose(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next run as Tune's configuration of a trial."""
        if self._dry or self.error or self.interrupted:
            return None if self._runs else Searcher.FINISHED
        try:
            job = self._source.next()
        except UserError as error:
            self.error = error
            job = None
        if job is None:
            self._dry = True  # a live run may be lost, and then it is proposed again
            return None if self._runs else Searcher.FINISHED
        self._runs[trial_id] = _Run(job)
        gpu = self._cluster.uses_gpu(job.config.resources)
        return {"job": job.plain(), "gpu": gpu, "code": self._code}

    def started(self, trial_id: str) -> None:
        run = self._runs[trial_id]
        run.started = True
        self._watchdog.watch(trial_id, run.job.folder)
        for watcher in self._watchers:
            watcher.started(run.job)

    def reported(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Take in what a run says; True if Tune should end it."""
        if self.interrupted:
            return True  # it is told as killed already; what it says now is in its journal
        run, message = self._runs[trial_id], message_of(result)
        if not isinstance(message, Report):
            run.failure = message
            return True
        run.last = message
        run.paused = self._decided(lambda: self._source.report(run.job, message), False)
        for watcher in self._watchers:
            watcher.reported(run.job, message)
        return run.paused

    def ended(self, trial_id: str, died: bool) -> None:
        """A run's process has ended; `died` if by itself, without a word."""
        run = self._runs.pop(trial_id)
        self._watchdog.forget(trial_id)
        self._end.pop(trial_id, None)
        if self.interrupted:
            return  # told already
        if not run.started:  # its process could not even start
            for watcher in self._watchers:
                watcher.started(run.job)
        result = run.result(died)

        def noted() -> bool:
            self._source.end(run.job, result)
            return True

        if not self._decided(noted, False):
            return  # it is not on record, so nobody may act on it: the next driver finds it again
        self._dry = False
        for watcher in self._watchers:
            watcher.ended(run.job, result)

    def tick(self) -> None:
        """Called several times a second."""
        if self._lease.lost.is_set() and not self.error:
            self.error = self._lease.error()
        if time.monotonic() >= self._next_look and not self.interrupted:
            self._next_look = time.monotonic() + LOOK
            self._look_for_wishes()
        # At once: Ray kills a stopped job's driver after 3 s, and Tune takes 2 to wind up.
        if (self._cluster.stopping.is_set() or self.error) and not self.interrupted:
            self.interrupt()
        self._reclaimer.look()
        starting = {
            name: (run.job, self._cluster.demand(run.job.config.resources))
            for name, run in self._runs.items()
            if run.started and run.last is None and run.failure is None
        }
        self._waits.look(starting)
        for name, (_, demand) in starting.items():
            if self._waits.pending(demand):
                self._watchdog.rest(name)
        for name, why in self._watchdog.hung().items():
            self._kill(name, why)

    def added(self, trial_id: str, end: Callable[[], None]) -> None:
        """Tune knows the run, and how to end it."""
        self._end[trial_id] = end

    def _kill(self, trial_id: str, why: str) -> None:
        """A run that hangs is ended, and goes on from its checkpoint as a lost one does."""
        run = self._runs[trial_id]
        if run.failure is None and trial_id in self._end:
            run.failure = Failure(failed=why, fault="machine")
            self._watchdog.forget(trial_id)
            self._end[trial_id]()

    def _look_for_wishes(self) -> None:
        if by := briefly(self._stop_wanted, ""):
            say(f"stopped by {by}; the same command goes on")
            self.interrupt()
        elif self._dry and briefly(self._source.stirred, False):
            self._dry = False

    def interrupt(self) -> None:
        """End all live runs; where another driver has taken over, they are its to speak of."""
        self.interrupted = True
        if self._lease.lost.is_set():
            return
        killed = RunResult("killed", cause="run the same command to go on")
        for run in self._runs.values():
            briefly(partial(self._source.end, run.job, killed), None)
            for watcher in self._watchers:
                watcher.ended(run.job, killed)
        for watcher in self._watchers:
            watcher.interrupted()

    def _decided(self, decide: Any, otherwise: Any) -> Any:
        """What the source decides. Its error ends the loop in order, not Tune in the middle."""
        try:
            return decide()
        except UserError as error:
            self.error = self.error or error
            return otherwise


class _Run:
    """What is known of a live run."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.last: Report | None = None
        self.failure: Failure | None = None
        self.paused = self.started = False

    def result(self, died: bool) -> RunResult:
        iterations = self.job.config.training.iterations
        ended = self.failure or self.paused or (self.last and self.last.iteration == iterations)
        if not ended:
            why = "its process died" if died else "it ended without a word"
            self.failure = Failure(failed=f"{why}; see the Ray logs", fault="machine")
        if self.failure and self.failure.fault in ("machine", "memory"):
            self.failure = self.failure.updated(failed=self.failure.failed + self._where())
        return result_of(iterations, self.last, self.failure)

    def _where(self) -> str:
        """The machine that the run was on, as its last sign of life says."""
        seen = pulse.read(self.job.folder)
        return f" (on {seen.node})" if seen and seen.node else ""
