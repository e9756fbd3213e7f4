"""Runs that several studies need the outcome of: trained once, registered, found again by their identity."""

import math
import time

from afdcd import storage
from afdcd.config import UserError
from afdcd.environment import storage_root, study_database
from afdcd.search.alone import run_alone
from afdcd.search.cluster import Cluster
from afdcd.search.lease import Lease, hold
from afdcd.search.leases import Held
from afdcd.search.say import NEWS, say
from afdcd.search.session import Session
from afdcd.tasks.names import of_task
from afdcd.tasks.score import Score
from afdcd.tracking.registry import FINGERPRINT, Version, find, register
from afdcd.training import pulse
from afdcd.training.artifacts import STUDENT_FILE
from afdcd.training.job import Job
from afdcd.training.trial import TrialConfig


class TrainedOnce:
    """Finds or trains what comes before a study.

    Args:
        kind: e.g. "teacher"; begins names and titles, and is the folder's, in the plural.

    Attributes:
        cost: device-hours of what was trained here, by name.
    """

    def __init__(self, session: Session, cluster: Cluster, kind: str) -> None:
        self._tracker, self._cluster, self._kind = session.tracker, cluster, kind
        self._digest = session.digest
        self.cost: dict[str, float] = {}

    def known(self, identity: str) -> str | None:
        """The registered version, if there is one."""
        return find(self._tracker.client, identity)

    def version(
        self, trial: TrialConfig, identity: str, what: str, inputs: dict[str, str] | None = None
    ) -> str | None:
        """The registered version of a run, trained now if there is none yet; None if interrupted.

        Args:
            what: is trained, for titles and the registry, e.g. the network's name.
            inputs: of the job.

        Raises:
            UserError: its training failed.
        """
        if found := self.known(identity):
            return found
        name = f"{self._kind}-{identity[:12]}"
        with hold(study_database(), name, waits=_Waiting(name)) as lease:
            found = self.known(identity)  # by whom it was waited for
            return found or self._train(name, trial, identity, what, inputs or {}, lease)

    def _train(
        self,
        name: str,
        trial: TrialConfig,
        identity: str,
        what: str,
        inputs: dict[str, str],
        lease: Lease,
    ) -> str | None:
        folder = storage.join(storage_root(), f"{self._kind}s", name)
        job = Job(
            name=name,
            title=f"{self._kind} {what}",
            config=trial.updated(resources=self._cluster.alone(trial.resources)),
            folder=folder,
            identity=identity,
            data_digest=self._digest,
            token=lease.token,
            inputs=inputs,
        )
        try:
            result = run_alone(job, self._tracker, self._cluster, lease)
        finally:
            attempts = pulse.attempts(folder)
            self.cost[name] = sum(one.device_seconds for one in attempts) / 3600
        if result is None:
            return None
        if result.outcome != "completed":
            raise UserError(f"{job.title}: training failed: {result.cause}")
        return self._register(job, what, result.score)

    def _register(self, job: Job, what: str, score: Score) -> str:
        data = job.config.data
        version = Version(
            name=f"{data.dataset}{of_task(job.config.task)}-{self._kind}-{what}",
            run=self._tracker.run_of(job.name, None),
            tags={
                FINGERPRINT: job.identity,
                "dataset": f"{data.dataset}/{data.protocol}",
                score.name: f"{score.value:.4f}",
                "git_commit": self._tracker.commit,
            },
            description=f"{score} on {data.protocol}/val: {job.title} after "
            f"{job.config.training.iterations} iterations.",
            aliases=("newest",),
            about=f"{self._kind.capitalize()}s {what} that studies on {data.dataset} trained, each once "
            "and for all of them; `newest` is the last one.",
        )
        weights = storage.read_bytes(storage.join(job.folder, STUDENT_FILE))
        return f"models:/{version.name}/{register(self._tracker.client, version, weights)}"


class _Waiting:
    """Waits for the driver that trains the same, and says so now and then."""

    def __init__(self, name: str) -> None:
        self._name, self._told = name, -math.inf

    def __call__(self, held: Held) -> bool:
        if time.monotonic() - self._told > NEWS:
            say(f"waits for {self._name}, which is being trained by {held}")
            self._told = time.monotonic()
        return True
