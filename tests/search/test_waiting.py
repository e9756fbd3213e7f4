"""What is said of runs that have no place, on a cluster and in a time of the test's own.

And once on a real cluster of small nodes, with the real command.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster as RayCluster

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import inherited
from afdcd.search.capacity import Demand
from afdcd.search.waiting import AGAIN, Sight, Waits, lacking
from afdcd.training.job import Job
from tests.examples import job
from tests.running import ROOT, finish, kill_tree, until

THREE = Demand({"CPU": 3.0})
TWO_NODES = ({"CPU": 2.0}, {"CPU": 2.0})


class World:
    """A cluster whose pending groups, free nodes and placed runs the test sets; a second passes per look."""

    def __init__(self) -> None:
        self.now, self.lines = 0.0, list[tuple[float, str]]()
        self.placed: set[str] = set()
        self.runs: dict[str, tuple[Job, Demand]] = {}
        self.sight = Sight([], TWO_NODES, TWO_NODES)
        self.waits = Waits(self.see, self.tell, self.placed.__contains__, lambda: self.now)

    def see(self) -> Sight:
        return self.sight

    def tell(self, line: str) -> None:
        self.lines.append((self.now, line))

    def start(self, number: int, demand: Demand = THREE) -> None:
        named = job().updated(title=f"trial {number}", folder=f"f{number}")
        self.runs[f"t{number}"] = (named, demand)

    def pend(self, *demands: Demand) -> None:
        self.sight = replace(self.sight, pending=demands)

    def pass_time(self, seconds: float) -> list[str]:
        """The lines of these seconds."""
        before, end = len(self.lines), self.now + seconds
        while self.now < end:
            self.waits.look(self.runs)
            self.now += 1.0
        return [line for _, line in self.lines[before:]]


@pytest.fixture
def world() -> World:
    return World()


def test_the_missing_bundle_is_named_within_a_minute(world: World) -> None:
    world.start(3, Demand({"CPU": 3.0, "GPU": 1.0}, workers=2))
    world.pend(Demand({"CPU": 3.0, "GPU": 1.0}, workers=2))
    assert world.pass_time(60) == [
        "trial 3 waits for 2 x {3 CPU, 1 GPU}: the largest free node has {2 CPU, 0 GPU}, and no node "
        "holds {3 CPU, 1 GPU} even when it is free: add one that does, or lower "
        "resources.cpus_per_worker"
    ]


def test_it_is_said_now_and_then_as_long_as_it_waits(world: World) -> None:
    world.start(3)
    world.pend(THREE)
    assert len(world.pass_time(60)) == 1
    assert world.pass_time(AGAIN - 60) == []
    assert len(world.pass_time(60)) == 1
    world.pend()
    assert world.pass_time(2 * AGAIN) == []


def test_ray_train_asking_anew_each_minute_does_not_silence_it(world: World) -> None:
    """It gives up its placement group after 60 seconds and makes another."""
    world.start(3)
    told = []
    for _ in range(10):
        world.pend(THREE)
        told += world.pass_time(57)
        world.pend()
        told += world.pass_time(12)
    assert 2 <= len(told) <= 3


def test_a_run_that_takes_the_place_of_another_is_not_told(world: World) -> None:
    world.start(3)
    world.pend(THREE)
    assert world.pass_time(15) == []
    world.pend()
    assert world.pass_time(60) == []


def test_runs_that_have_their_place_are_not_said_to_wait(world: World) -> None:
    for number in range(4):
        world.start(number)
    world.pend(THREE, THREE)
    world.pass_time(11)
    world.placed |= {"t0", "t2"}
    assert [line.split(" for ")[0] for line in world.pass_time(40)] == ["trial 1 and 1 more wait"]


def test_one_that_begins_to_wait_later_is_said_soon_too(world: World) -> None:
    world.start(3)
    world.pend(THREE)
    world.pass_time(60)
    world.start(4)
    world.pend(THREE, THREE)
    assert [line.split(" for ")[0] for line in world.pass_time(60)] == ["trial 3 and 1 more wait"]


def test_pending_groups_of_other_kinds_are_not_this_run(world: World) -> None:
    world.start(3)
    world.pend(Demand({"CPU": 1.0}))
    assert world.pass_time(60) == []


def test_a_lost_run_that_goes_on_waits_anew(world: World) -> None:
    world.start(3)
    world.pend()
    world.pass_time(11)
    world.placed.add("t3")
    world.pass_time(11)
    world.runs = {"t9": world.runs["t3"]}
    world.pend(THREE)
    assert len(world.pass_time(60)) == 1


def test_a_ray_that_does_not_answer_ends_nothing(world: World) -> None:
    world.start(3)
    world.pend(THREE)

    def silent() -> Any:
        raise RuntimeError("Failed to get cluster status")

    world.waits._see = silent
    assert world.pass_time(60) == []
    world.waits._see = world.see
    assert len(world.pass_time(60)) == 1


@pytest.mark.parametrize(
    ("nodes", "free", "workers", "told"),
    [
        ((4, 2), (1, 2), 1, "the largest free node has {2 CPU}, others use the rest"),
        (
            (4, 2),
            (4, 2),
            2,
            "and all nodes together hold fewer: add one, or lower resources.workers",
        ),
        ((2, 2), (2, 2), 1, r"no node holds {3 CPU} even when it is free"),
    ],
)
def test_why_there_is_no_place(
    nodes: tuple[float, ...], free: tuple[float, ...], workers: int, told: str
) -> None:
    sight = Sight([], [{"CPU": n} for n in nodes], [{"CPU": n} for n in free])
    assert told in lacking(Demand({"CPU": 3.0}, workers), sight)


ONE = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 2, validate_every: 2, batch: 4}
resources: {cpus_per_worker: 3}
"""
# Nodes that an autoscaler starts have the name of their type; then a run waits and is not refused.
BY_AUTOSCALER = {"RAY_NODE_TYPE_NAME": "workers"}


@pytest.fixture
def small_nodes() -> Iterator[Any]:
    """A head that computes nothing, and two nodes of 2 CPU."""
    head = {"num_cpus": 0, "include_dashboard": True, "dashboard_port": 0}
    cluster = RayCluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=2)
        yield cluster
    finally:
        cluster.shutdown()


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(600)
def test_a_run_that_no_node_holds_is_refused_or_waits_until_one_comes(
    small_nodes: Any, tmp_path: Path
) -> None:
    root, file = str(tmp_path / "data"), tmp_path / "one.yaml"
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
    file.write_text(ONE.replace("ROOT", root))

    def command() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "afdcd.train", str(file)],
            env=inherited(RAY_ADDRESS=small_nodes.address, AFDCD_STORAGE=str(tmp_path / "runs")),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    refused = command()
    told = refused.communicate()[0]
    assert refused.returncode == 2, told
    assert told.strip().splitlines()[-1] == (
        "error: one trial needs 1 x {3 CPU}, and no node holds {3 CPU}: the largest has {2 CPU}; "
        "lower resources.cpus_per_worker, or add a larger node"
    )
    small_nodes.add_node(num_cpus=2, env_vars=BY_AUTOSCALER)
    waiting = command()
    try:
        told = until(waiting, "waits for")
        assert "one waits for 1 x {3 CPU}: the largest free node has {2 CPU}, and no node" in told
        small_nodes.add_node(num_cpus=4, env_vars=BY_AUTOSCALER)
        assert "iteration 2/2" in finish(waiting)
    finally:
        kill_tree(waiting)
