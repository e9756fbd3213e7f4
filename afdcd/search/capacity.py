"""How many runs a cluster holds. Every worker of a run needs a place, and a place is on one node.

Sums over nodes mislead: two nodes of 2 CPU hold no worker of 3. The workers of one run may spread over
nodes, as Ray Train places them (its strategy PACK). All that is here works without Ray.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from afdcd.config import UserError

# Amounts by name of the resource: of a node, or of what a worker takes.
Bundle = Mapping[str, float]
HEAD = "node:__internal_head__"  # the resource that the head node alone has
UNIT = 10_000  # Ray counts in ten-thousandths, so ten times 0.1 CPU is 1 CPU


@dataclass(frozen=True)
class Kind:
    """Nodes of one kind that an autoscaler may start; `count` may be infinite."""

    resources: Bundle
    count: float


@dataclass(frozen=True)
class Demand:
    """What one run needs: as many equal bundles as it has workers, all of them at once."""

    bundle: Bundle
    workers: int = 1

    def __str__(self) -> str:
        return f"{self.workers} x {amounts(self.bundle, self.bundle)}"


def places(node: Bundle, bundle: Bundle) -> int:
    """How many such bundles a node holds."""
    return min(
        round(node.get(name, 0.0) * UNIT) // round(amount * UNIT)
        for name, amount in bundle.items()
        if round(amount * UNIT)
    )


def room(nodes: Iterable[Bundle], demand: Demand) -> int:
    """How many such runs some nodes hold at the same time."""
    return sum(places(node, demand.bundle) for node in nodes) // demand.workers


def grown(nodes: Iterable[Bundle], kinds: Iterable[Kind], demand: Demand) -> float:
    """As `room`, once the autoscaler has added all it may; infinite where it has no limit."""
    nodes = list(nodes)
    heads = sum(places(node, demand.bundle) for node in nodes if HEAD in node)
    added = sum(
        kind.count * each for kind in kinds if (each := places(kind.resources, demand.bundle))
    )
    return max(
        room(nodes, demand), (heads + added) // demand.workers if added < math.inf else added
    )


def nearest(nodes: Iterable[Bundle], bundle: Bundle) -> Bundle:
    """The node that comes nearest to holding a bundle; an empty one where there is none."""

    def shares(node: Bundle) -> tuple[float, float]:
        each = [node.get(name, 0.0) / amount for name, amount in bundle.items() if amount]
        return min(each), sum(each)

    return max(nodes, key=shares, default={})


def check(nodes: tuple[Bundle, ...], demand: Demand) -> None:
    """Whether a run can ever start on these nodes.

    Raises:
        UserError: no; with the bundle that has no place, the largest node, and what to change.
    """
    if room(nodes, demand):
        return
    wanted, held = (
        amounts(demand.bundle, demand.bundle),
        sum(places(n, demand.bundle) for n in nodes),
    )
    largest = amounts(nearest(nodes, demand.bundle), demand.bundle)
    if held:
        raise UserError(
            f"one trial needs {demand}, the cluster has places for {held} of them (the largest node "
            f"has {largest}): lower resources.workers or resources.cpus_per_worker, or add nodes"
        )
    raise UserError(
        f"one trial needs {demand}, and no node holds {wanted}: the largest has {largest}; "
        f"lower resources.cpus_per_worker{_no_gpu(nodes, demand.bundle)}, or add a larger node"
    )


def _no_gpu(nodes: tuple[Bundle, ...], bundle: Bundle) -> str:
    lacking = bundle.get("GPU") and not any(node.get("GPU") for node in nodes)
    return ", set resources.device: cpu" if lacking else ""


def amounts(node: Bundle, bundle: Bundle) -> str:
    """What a node has of the resources that a bundle asks for: `{3 CPU, 1 GPU}`."""
    return "{" + ", ".join(f"{node.get(name, 0.0):g} {name}" for name in bundle) + "}"
