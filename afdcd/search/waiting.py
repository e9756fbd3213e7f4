"""Says which runs wait for a place on the cluster and what they lack. Ray waits without a word."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from afdcd.search.capacity import HEAD, Bundle, Demand, amounts, nearest, places, room
from afdcd.training.job import Job

INTERVAL = 10.0  # seconds between two looks
PATIENCE = 20.0  # seconds that a run may wait in silence; one that takes another's place needs some
AGAIN = 300.0  # seconds until the same is said again


@dataclass(frozen=True)
class Sight:
    """What one look at the cluster finds.

    Attributes:
        pending: what runs of this driver have asked for and not got.
        nodes: what each node has in all; one that is being drained takes no run.
        free: what each node has left.
    """

    pending: Sequence[Demand]
    nodes: Sequence[Bundle]
    free: Sequence[Bundle]


@dataclass
class _Waiting:
    job: Job
    said: float | None = None


class Waits:
    """Looks now and then for runs whose workers have no place yet.

    Args:
        see: the cluster, as it is now.
        tell: prints a line.
        has_place: whether this attempt has its place, for it has given a sign of life.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        see: Callable[[], Sight],
        tell: Callable[[str], None],
        has_place: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._see, self._tell, self._has_place, self._clock = see, tell, has_place, clock
        self._next = 0.0
        self._runs: dict[str, _Waiting] = {}
        self._since: dict[str, float] = {}  # demand -> when it was first seen without a place

    def look(self, runs: Mapping[str, tuple[Job, Demand]]) -> None:
        """Called often; does something every `INTERVAL` seconds at most.

        Args:
            runs: by the id of the attempt, in the order of their starts, those without a report.
        """
        now = self._clock()
        if now < self._next or not runs:
            return
        self._next = now + INTERVAL
        self._note(runs)
        try:
            sight = self._see()
        except Exception as error:  # Ray's are many; the next look will do
            logging.getLogger(__name__).debug("cluster status: %s", error)
            return
        pending = {str(demand): demand for demand in sight.pending}
        self._since = {text: self._since.get(text, now) for text in pending}
        for text, demand in pending.items():
            if now - self._since[text] >= PATIENCE:
                waiting = [i for i in self._runs if str(runs[i][1]) == text]
                # Those that were started last: earlier ones are about to give a sign of life.
                self._say(waiting[-list(map(str, sight.pending)).count(text) :], demand, sight, now)

    def pending(self, demand: Demand) -> bool:
        """Whether, as of the last look, some run with this demand had no place."""
        return str(demand) in self._since

    def _note(self, runs: Mapping[str, tuple[Job, Demand]]) -> None:
        """Which runs have given no sign of life yet."""
        placeless = {name: job for name, (job, _) in runs.items() if not self._has_place(name)}
        self._runs = {name: self._runs.get(name, _Waiting(job)) for name, job in placeless.items()}

    def _say(self, waiting: list[str], demand: Demand, sight: Sight, now: float) -> None:
        due = [self._runs[name].said for name in waiting]
        if all(said is not None and now - said < AGAIN for said in due):
            return
        for name in waiting:
            self._runs[name].said = now
        first, others = self._runs[waiting[0]].job.title, len(waiting) - 1
        who = f"{first} and {others} more wait" if others else f"{first} waits"
        self._tell(f"{who} for {demand}: {lacking(demand, sight)}")


def lacking(demand: Demand, sight: Sight) -> str:
    """Why there is no place, and what to do about it where waiting does not help."""
    bundle = demand.bundle
    free = f"the largest free node has {amounts(nearest(sight.free, bundle), bundle)}"
    if room(sight.nodes, demand):
        return f"{free}, others use the rest"
    if any(places(node, bundle) for node in sight.nodes):
        return f"{free}, and all nodes together hold fewer: add one, or lower resources.workers"
    wanted = amounts(bundle, bundle)
    return (
        f"{free}, and no node holds {wanted} even when it is free: add one that does, or lower "
        "resources.cpus_per_worker"
    )


def sight() -> Sight:
    """What Ray says now. The cost does not grow with what has ended."""
    import ray
    from ray._private.state import state
    from ray.autoscaler.v2.sdk import get_cluster_status

    context = ray.get_runtime_context()
    status = get_cluster_status(context.gcs_address)
    pending = [
        Demand(wanted.bundle, wanted.count)
        for group in status.resource_demands.placement_group_demand
        if group.pg_id.endswith(context.get_job_id())  # a group's id ends with its job's
        for wanted in group.bundles_by_count
        if HEAD not in wanted.bundle  # Tune's own
    ]
    free, drained = state.available_resources_per_node(), state.get_draining_nodes()
    every = state.total_resources_per_node()
    nodes = {name: has for name, has in every.items() if name not in drained}
    return Sight(pending, list(nodes.values()), [free.get(name, {}) for name in nodes])
