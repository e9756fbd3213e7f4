"""How many runs a cluster holds, node by node."""

import math

import pytest

from afdcd.config import UserError
from afdcd.search.capacity import HEAD, Bundle, Demand, Kind, check, grown, nearest, places, room


def cpu(*amounts: float) -> tuple[Bundle, ...]:
    return tuple({"CPU": amount} for amount in amounts)


@pytest.mark.parametrize(
    ("nodes", "demand", "runs"),
    [
        (cpu(2, 2, 2), Demand({"CPU": 3.0}), 0),  # six CPU, and no place for three of them
        (cpu(2, 2, 2), Demand({"CPU": 2.0}), 3),
        (cpu(4, 2), Demand({"CPU": 3.0}), 1),
        (cpu(2, 2, 2), Demand({"CPU": 1.5}, workers=2), 1),  # the workers of a run may spread
        (cpu(2, 2, 2), Demand({"CPU": 2.0}, workers=3), 1),
        (cpu(0, 2), Demand({"CPU": 1.0}), 2),  # a head that computes nothing
        (cpu(1), Demand({"CPU": 0.1}), 10),  # 1 // 0.1 is 9
        (({"CPU": 64.0}, {"CPU": 2.0, "GPU": 4.0}), Demand({"CPU": 1.0, "GPU": 1.0}), 2),
        (({"CPU": 64.0}, {"CPU": 2.0, "GPU": 4.0}), Demand({"CPU": 3.0, "GPU": 1.0}), 0),
    ],
)
def test_a_worker_needs_its_place_on_one_node(
    nodes: tuple[Bundle, ...], demand: Demand, runs: int
) -> None:
    assert room(nodes, demand) == runs


def test_a_resource_that_nobody_asks_for_limits_nothing() -> None:
    assert places({"CPU": 4.0}, {"CPU": 1.0, "GPU": 0.0}) == 4


@pytest.mark.parametrize(
    ("nodes", "demand", "told"),
    [
        (
            cpu(2, 1, 2),
            Demand({"CPU": 3.0}, workers=2),
            "one trial needs 2 x {3 CPU}, and no node holds {3 CPU}: the largest has {2 CPU}; lower "
            "resources.cpus_per_worker, or add a larger node",
        ),
        (
            ({"CPU": 64.0}, {"CPU": 2.0, "GPU": 1.0}),
            Demand({"CPU": 3.0, "GPU": 1.0}),
            "one trial needs 1 x {3 CPU, 1 GPU}, and no node holds {3 CPU, 1 GPU}: the largest has "
            "{2 CPU, 1 GPU}; lower resources.cpus_per_worker, or add a larger node",
        ),
        (
            cpu(8),
            Demand({"CPU": 1.0, "GPU": 1.0}),
            "one trial needs 1 x {1 CPU, 1 GPU}, and no node holds {1 CPU, 1 GPU}: the largest has "
            "{8 CPU, 0 GPU}; lower resources.cpus_per_worker, set resources.device: cpu, or add a "
            "larger node",
        ),
        (
            cpu(2, 2),
            Demand({"CPU": 2.0}, workers=4),
            "one trial needs 4 x {2 CPU}, the cluster has places for 2 of them (the largest node "
            "has {2 CPU}): lower resources.workers or resources.cpus_per_worker, or add nodes",
        ),
    ],
)
def test_what_can_never_start_is_refused(
    nodes: tuple[Bundle, ...], demand: Demand, told: str
) -> None:
    with pytest.raises(UserError) as error:
        check(nodes, demand)
    assert str(error.value) == told


def test_a_cluster_without_nodes_is_refused_too() -> None:
    with pytest.raises(UserError, match=r"the largest has \{0 CPU\}"):
        check((), Demand({"CPU": 1.0}))


def test_the_nearest_node_is_the_one_that_lacks_least() -> None:
    nodes = ({"CPU": 64.0}, {"CPU": 2.0, "GPU": 8.0}, {"CPU": 1.0, "GPU": 8.0})
    assert nearest(nodes, {"CPU": 3.0, "GPU": 1.0}) == nodes[1]


def test_what_an_autoscaler_may_add_counts_once() -> None:
    head: Bundle = {"CPU": 1.0, HEAD: 1.0}
    kinds = (Kind({"CPU": 4.0}, 3), Kind({"CPU": 1.0}, 100))
    three = Demand({"CPU": 3.0})
    assert grown((head,), kinds, three) == 3
    assert grown((head, {"CPU": 4.0}), kinds, three) == 3  # one of the three is there already
    assert grown((head, *cpu(9, 9)), kinds, three) == 6  # added by hand
    assert grown((head,), kinds, Demand({"CPU": 4.0}, workers=2)) == 1
    assert math.isinf(grown((head,), (Kind({"CPU": 4.0}, math.inf),), three))
    assert grown((head,), (Kind({"CPU": 2.0}, math.inf),), three) == 0
