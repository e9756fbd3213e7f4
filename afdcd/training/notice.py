"""Whether a node of a run is being drained, as all of its workers come to know at the same step.

A cloud that takes a machine away says so some seconds before. Ray Train watches the nodes of a run and
tells each worker; the workers ask it together, every few seconds, so that all leave at one iteration.
No device is waited for.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray.train import PreemptionInfo

EVERY = 2.0  # seconds between two looks; the shortest notice that a cloud gives is 30


class DrainedError(Exception):
    """A node is being drained; the message says which."""


class Notice:
    """Asks now and then. A step is an iteration, or an image of a validation.

    All workers must make the same calls in the same order, since a look is a barrier. How many
    steps pass until the next one is for the first worker to say: clocks and speeds differ.

    Args:
        ask: what Ray Train was told, the same on all workers (`ray.train.get_preemption_info`).
        agree: gives every worker what the first one has; where there is one, that is its own.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        ask: "Callable[[], PreemptionInfo | None]",
        agree: Callable[[int], int] = lambda steps: steps,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask, self._agree, self._clock = ask, agree, clock
        self._left = self._pace = 1  # steps until the next look, and between two
        self._since = clock()

    def restart(self) -> None:
        """Work of another kind begins, whose steps take another time."""
        self._left = self._pace = 1
        self._since = self._clock()

    def step(self) -> str:
        """One step more; which node is being drained, empty as long as none is."""
        self._left -= 1
        if self._left:
            return ""
        if info := self._ask():
            return _told(info.preempted_node_ids)
        self._left = self._pace = self._agree(self._next_pace())
        return ""

    def _next_pace(self) -> int:
        """As many steps as take `EVERY` seconds, by those since the last look.

        At most twice as many as last time: the first steps of a device say little of the others.
        """
        now = self._clock()
        took, self._since = now - self._since, now
        wanted = self._pace * EVERY / took if took > 0 else float("inf")
        return max(1, int(min(wanted, 2 * self._pace)))


def _told(nodes: list[str]) -> str:
    """The nodes by their addresses, as people know them."""
    import ray

    known = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes()}
    places = sorted(known.get(node, node[:12]) for node in nodes)
    one, *others = places
    return (
        f"nodes {', '.join(places)} are being drained" if others else f"node {one} is being drained"
    )
