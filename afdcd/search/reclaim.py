"""Takes back workers' resources that a dead trial still holds.

Ray Train leaves this to a helper actor per run, which finds a dead controller but does not survive
what may kill both: the host's memory running out takes several processes at once. The placement
group then stays for ever, and every later trial waits for it without an error.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import ray
from ray.util.placement_group import PlacementGroup, remove_placement_group
from ray.util.state import list_actors, list_placement_groups
from ray.util.state.exception import RayStateApiException

from afdcd.search.cluster import TRIAL_RESOURCES

INTERVAL = 10.0  # seconds between two looks
PATIENCE = 30.0  # seconds without an actor; a group that is being filled is empty for about one


@dataclass
class Reclaimer:
    """Looks now and then for placement groups of this job in which nothing lives any more.

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
        job = ray.get_runtime_context().get_job_id()
        try:
            groups = _workers_groups(self.api, job)
            actors = list_actors(
                self.api, filters=[("job_id", "=", job)], limit=10_000, detail=True
            )
        except (RayStateApiException, OSError) as error:
            logging.getLogger(__name__).debug("state API: %s", error)
            return  # busy or restarting: the next look will do
        living = {actor.placement_group_id for actor in actors if actor.state != "DEAD"}
        for group in self.forsaken(groups, living, now):
            remove_placement_group(PlacementGroup(ray.PlacementGroupID.from_hex(group)))

    def forsaken(self, groups: Iterable[str], living: set[str], now: float) -> list[str]:
        """The groups that have held no living actor for `PATIENCE` seconds."""
        empty = [group for group in groups if group not in living]
        self._empty_since = {group: self._empty_since.get(group, now) for group in empty}
        return [group for group in empty if now - self._empty_since[group] >= PATIENCE]


def _workers_groups(api: str, job: str) -> list[str]:
    """Groups that hold resources for Train workers; Tune keeps its trials' own for reuse."""
    filters = [("state", "=", "CREATED"), ("creator_job_id", "=", job)]
    groups = list_placement_groups(api, filters=filters, limit=10_000, detail=True)
    return [
        group.placement_group_id
        for group in groups
        if not any(TRIAL_RESOURCES.keys() & bundle["unit_resources"] for bundle in group.bundles)
    ]
