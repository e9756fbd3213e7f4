"""How many trials fit on a cluster; none is said before any is started."""

import pytest

from afdcd.config import UserError
from afdcd.search import cluster
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
    [({"workers": 4, "cpus_per_worker": 3.0}, "4 x 3 CPU"), ({"device": "gpu"}, "and 1 GPU")],
)
def test_trial_that_can_never_run_is_refused(resources: dict, needs: str) -> None:
    with pytest.raises(UserError, match=f"{needs}.* the cluster has 8 CPU and 0 GPU: lower"):
        Cluster(8, 0, 1).capacity(ResourcesConfig(**resources))


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
