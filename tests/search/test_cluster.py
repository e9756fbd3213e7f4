"""How many trials fit on a cluster; none is said before any is started."""

import math
from types import SimpleNamespace

import pytest

from afdcd.config import UserError
from afdcd.search import cluster
from afdcd.search.capacity import Kind
from afdcd.search.cluster import Cluster
from afdcd.training.resources import ResourcesConfig


@pytest.mark.parametrize(
    ("cluster", "resources", "capacity"),
    [
        (Cluster(8, 0, 1), {}, 8),
        (Cluster(8, 0, 1), {"workers": 2, "cpus_per_worker": 1.5}, 2),
        (Cluster(8, 4, 1), {}, 4),
        (Cluster(8, 4, 1), {"workers": 2}, 2),
        (Cluster(8, 4, 1), {"device": "cpu"}, 8),
        (Cluster(2, 4, 1), {}, 2),
        (Cluster(2, 0, 1), {"cpus_per_worker": 0.5}, 4),
    ],
)
def test_capacity_is_what_the_scarcer_resource_allows(
    cluster: Cluster, resources: dict, capacity: int
) -> None:
    assert cluster.capacity(ResourcesConfig(**resources)) == capacity


@pytest.mark.parametrize(
    ("resources", "needs"),
    [
        ({"workers": 4, "cpus_per_worker": 3.0}, r"4 x \{3 CPU\}, the cluster has places for 2"),
        ({"device": "gpu"}, r"no node holds \{1 CPU, 1 GPU\}"),
    ],
)
def test_trial_that_can_never_run_is_refused(resources: dict, needs: str) -> None:
    with pytest.raises(UserError, match=needs):
        Cluster(8, 0, 1).capacity(ResourcesConfig(**resources))


SMALL = ({"CPU": 2.0}, {"CPU": 2.0}, {"CPU": 2.0})
THREE = ResourcesConfig(cpus_per_worker=3.0)


def test_nodes_are_not_added_up() -> None:
    """B11: six CPU in all, and a trial of three waited for ever."""
    with pytest.raises(UserError, match=r"no node holds \{3 CPU\}: the largest has \{2 CPU\}"):
        Cluster.of(SMALL).capacity(THREE)
    assert Cluster.of(SMALL).capacity(ResourcesConfig(cpus_per_worker=2.0)) == 3
    assert Cluster.of(({"CPU": 4.0}, *SMALL)).capacity(THREE) == 1


def test_no_more_than_a_person_allows() -> None:
    assert Cluster(8, 0, 1).capacity(ResourcesConfig(), 3) == 3
    assert Cluster(8, 0, 1).capacity(ResourcesConfig(), 30) == 8


@pytest.mark.parametrize(
    ("growth", "most", "capacity"),
    [
        ((), None, 1),  # an autoscaler that does not say what it may add: it waits
        ((), 5, 5),
        ((Kind({"CPU": 4.0}, 6),), None, 6),
        ((Kind({"CPU": 4.0}, 6),), 5, 5),
        ((Kind({"CPU": 4.0}, math.inf),), None, 1),
        ((Kind({"CPU": 4.0}, math.inf),), 5, 5),
        ((Kind({"CPU": 2.0}, 6),), None, 1),  # none of them holds it; one that waits says so
    ],
)
def test_a_cluster_that_grows_refuses_nothing(
    growth: tuple[Kind, ...], most: int | None, capacity: int
) -> None:
    assert Cluster.of(SMALL, growth).capacity(THREE, most) == capacity


def test_an_autoscaler_that_does_not_say_more_lets_run_what_is_there() -> None:
    assert Cluster.of(SMALL, ()).capacity(ResourcesConfig()) == 6


def test_gpus_that_come_later_are_used() -> None:
    assert Cluster.of(SMALL, (Kind({"CPU": 4.0, "GPU": 1.0}, 2),)).uses_gpu(ResourcesConfig())
    assert not Cluster.of(SMALL, (Kind({"CPU": 4.0}, 2),)).uses_gpu(ResourcesConfig())


def test_nodes_that_are_dead_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 2.0}},
        {"Alive": False, "Resources": {"CPU": 8.0, "GPU": 1.0}},
    ]
    monkeypatch.setattr(cluster, "_start", lambda: SimpleNamespace(dashboard_url="here:1"))
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    with cluster.connect() as found:
        assert (found.cpus, found.gpus, found.nodes, found.api) == (2.0, 0.0, 1, "http://here:1")
        assert found.capacity(ResourcesConfig()) == 2


def test_run_that_is_alone_takes_the_whole_cpu_host_and_no_more() -> None:
    assert Cluster(8, 0, 1).alone(ResourcesConfig(workers=2)).cpus_per_worker == 4
    assert Cluster(8, 2, 1).alone(ResourcesConfig()).cpus == 1
    assert Cluster(8, 0, 2).alone(ResourcesConfig()).cpus == 1
    assert Cluster(2, 0, 1).alone(ResourcesConfig(workers=4)).cpus == 1


@pytest.mark.parametrize("wanted", [1.0, 4.0])
def test_run_that_is_alone_takes_what_a_person_wrote(wanted: float) -> None:
    written = ResourcesConfig(cpus_per_worker=wanted)
    assert Cluster(8, 0, 1).alone(written) == written


def test_whatever_keeps_ray_from_starting_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nThis could happen because")

    monkeypatch.setattr(cluster.ray, "init", slow)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "given")
    with pytest.raises(UserError, match=r"timed out during startup\.\); its logs are in .*doctor"):
        cluster._start()
