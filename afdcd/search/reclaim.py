"""Takes back workers' resources that a dead trial still holds.

Ray Train leaves this to a helper actor per run, which finds a dead controller but does not survive
what may kill both: the host's memory running out takes several processes at once. And Ray forgets the
groups of a driver that dies while its node is away: they are placed when the node is back. Such a
placement group stays for ever, and every later trial waits for it without an error.
"""

import logging
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ray
from ray._private.state import jobs, total_resources_per_node
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.state import get_placement_group, list_actors
from ray.util.state.exception import RayStateApiException

from afdcd.search.capacity import Bundle
from afdcd.search.cluster import TRIAL_RESOURCES

INTERVAL = 10.0  # seconds between two looks
PATIENCE = 30.0  # seconds without an actor; a group that is being filled is empty for about one
LIMIT = 10_000  # actors in one answer, by Ray's own rule
# Of an actor that lives or will; in the order it passes them, so that none is missed on its way.
LIVING = ("DEPENDENCIES_UNREADY", "PENDING_CREATION", "RESTARTING", "ALIVE")
_GROUP = re.compile(r"bundle_group_([0-9a-f]{36})")  # a node's resource for each group it holds


@dataclass
class Reclaimer:
    """Looks now and then for placement groups, of this job and of dead ones, in which nothing lives.

    What has ended is never asked for: Ray answers nothing at all where it would be more than `LIMIT`.

    Args:
        api: URL of the cluster's state API (the dashboard).
    """

    api: str
    _next: float = 0.0
    _empty_since: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """Called often; does something every `INTERVAL` seconds at most."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + INTERVAL
        groups: list[str] = []
        living: set[str] = set()
        try:
            nodes = total_resources_per_node()
            for job in self._jobs(nodes):
                if found := workers_groups(nodes, job):
                    groups += found
                    living |= _living(self.api, job)
            forsaken = [g for g in self.forsaken(groups, living, now) if self._may_take(g)]
        except (RayStateApiException, OSError) as error:
            logging.getLogger(__name__).debug("state API: %s", error)
            return  # busy or restarting: the next look will do
        for group in forsaken:
            remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(group)))

    def _jobs(self, nodes: Mapping[str, Bundle]) -> list[str]:
        """This job, and dead ones whose groups a node still holds."""
        own = ray.get_runtime_context().get_job_id()
        others = {group[-len(own) :] for group in held_groups(nodes)} - {own}
        dead = {job["JobID"] for job in jobs() if job["IsDead"]} if others else set()
        return [own, *sorted(others & dead)]

    def _may_take(self, group: str) -> bool:
        """Whether it is no group that a dead job left on purpose, for others."""
        if group.endswith(ray.get_runtime_context().get_job_id()):
            return True
        known = get_placement_group(group, address=self.api)
        return known is not None and not known.is_detached

    def forsaken(self, groups: Iterable[str], living: set[str], now: float) -> list[str]:
        """The groups that have held no living actor for `PATIENCE` seconds."""
        empty = [group for group in groups if group not in living]
        self._empty_since = {group: self._empty_since.get(group, now) for group in empty}
        return [group for group in empty if now - self._empty_since[group] >= PATIENCE]


def workers_groups(nodes: Mapping[str, Bundle], job: str) -> list[str]:
    """Groups of a job that hold resources for Train workers; Tune keeps its trials' own for reuse.

    A node lists what it holds, and nothing that has ended. A group's id ends with its job's.
    """
    found = {group for group in held_groups(nodes) if group.endswith(job)}
    own = {
        group
        for resources in nodes.values()
        for group in found
        if any(f"{name}_group_{group}" in resources for name in TRIAL_RESOURCES)
    }
    return sorted(found - own)


def held_groups(nodes: Mapping[str, Bundle]) -> set[str]:
    """The groups that nodes hold resources for."""
    names = (name for resources in nodes.values() for name in resources)
    return {group[1] for name in names if (group := _GROUP.fullmatch(name))}


def _living(api: str, job: str) -> set[str]:
    """The groups in which something lives, or will.

    Raises:
        RayStateApiException: the answer is not whole.
    """
    groups = set()
    for state in LIVING:
        filters = [("job_id", "=", job), ("state", "=", state)]
        actors = list_actors(api, filters=filters, limit=LIMIT, detail=True)
        if len(actors) >= LIMIT:
            raise RayStateApiException(f"{LIMIT} actors and more are {state}")
        groups |= {actor.placement_group_id for actor in actors}
    return groups
