"""Nodes of a real cluster are drained while runs train on them, as a cloud does that takes them away.

The same study runs undisturbed and then disturbed, and both must come to the same numbers. The nodes
are Ray's own test nodes: processes of this machine that say how many CPUs they have.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.util.state import list_actors

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.search.kept import kept_study
from afdcd.training import journal, pulse
from tests.running import ROOT, Study, finish, kill_tree, until

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(1800), pytest.mark.cluster]

SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: LENGTH, validate_every: EVERY, batch: 4, lr: {choice: [0.01]}}
study: {trials: 1, proof: {seeds: 0}}
resources: {workers: WORKERS, cpus_per_worker: 1, device: cpu}
"""
LEAVES = (
    r"node \S+ is being drained: trial 0 none saved at iteration (\d+) of \d+, goes on elsewhere"
)


class Nodes:
    """A cluster whose head computes nothing, and a study that runs on it."""

    def __init__(self, cluster: Any, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.root = str(folder / "data")
        prepare_synthetic(self.root, SyntheticConfig(height=64, width=64, train=36, val=2, test=1))

    def add(self, *, cpus: int) -> None:
        self.cluster.add_node(num_cpus=cpus)

    def study(self, name: str, workers: int, every: int) -> Study:
        """A study of one run that is validated twice; each worker takes one CPU."""
        place = self.folder / name
        place.mkdir()
        given = {"ROOT": self.root, "WORKERS": str(workers)}
        given |= {"LENGTH": str(2 * every), "EVERY": str(every)}
        space = SPACE
        for word, value in given.items():
            space = space.replace(word, value)
        study = Study(place, space)
        study.environment |= {"RAY_ADDRESS": self.cluster.address}
        return study

    def workers(self) -> dict[str, str]:
        """The node of each worker of a run, by the worker's id."""
        alive = [("class_name", "=", "RayTrainWorker"), ("state", "=", "ALIVE")]
        return {one.actor_id: one.node_id for one in list_actors(filters=alive)}

    def placed(self, count: int) -> list[str]:
        """The nodes on which Ray places tasks of one CPU each."""
        task = ray.remote(num_cpus=1)(lambda: ray.get_runtime_context().get_node_id())
        return ray.get([task.remote() for _ in range(count)])

    def drain(self, node: str) -> None:
        """What a cloud's notice makes of a node; it has ten minutes, of which it needs seconds."""
        command = [str(Path(sys.executable).parent / "ray"), "drain-node"]
        command += ["--address", self.cluster.address, "--node-id", node]
        command += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
        subprocess.run([*command, "--deadline-remaining-seconds", "600"], check=True, cwd=ROOT)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setenv("RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S", "0.5")  # of the nodes' processes
    head = {"num_cpus": 0, "include_dashboard": True, "dashboard_port": 0}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        ray.init(cluster.address, log_to_driver=False)
        yield Nodes(cluster, tmp_path)
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_runs_of_a_drained_node_go_on_elsewhere_as_if_nothing_had_been(nodes: Nodes) -> None:
    for _ in range(2):
        nodes.add(cpus=2)
    calm, moved = (nodes.study(name, 1, every=200) for name in ("calm", "moved"))
    finish(calm.start())
    process = moved.start()
    try:
        soon(lambda: trains(moved))
        before = nodes.workers()
        (drained,) = before.values()
        nodes.drain(drained)
        assert drained not in nodes.placed(6)  # although one of its two CPUs is free
        printed = until(process, "is being drained")
        saved = saved_at(printed, every=200)
        printed += until(process, "goes on after")
        soon(lambda: bool(nodes.workers().items() - before.items()))
        after = nodes.workers().items() - before.items()
        assert drained not in dict(after).values()
        printed += finish(process)
    finally:
        kill_tree(process)
    assert f"trial 0 none goes on after iteration {saved} of 400" in printed
    assert len(re.findall(LEAVES, printed)) == 1
    assert reports(moved) == reports(calm)
    assert_free_of_charge(moved, workers=1)


def test_a_run_of_two_nodes_leaves_both_when_one_is_drained(nodes: Nodes) -> None:
    for _ in range(2):
        nodes.add(cpus=1)
    calm, moved = (nodes.study(name, 2, every=80) for name in ("calm", "moved"))
    finish(calm.start())
    process = moved.start()
    try:
        soon(lambda: trains(moved))
        both = nodes.workers()
        assert len(set(both.values())) == 2
        nodes.drain(max(both.values()))
        printed = until(process, "is being drained")
        saved = saved_at(printed, every=80)
        nodes.add(cpus=1)
        printed += finish(process)
    finally:
        kill_tree(process)
    assert f"trial 0 none goes on after iteration {saved} of 160" in printed
    assert reports(moved) == reports(calm)
    assert_free_of_charge(moved, workers=2)


def soon(true: Callable[[], bool]) -> None:
    """Wait; a test that hangs ends by its own limit."""
    while not true():
        time.sleep(0.2)


def folder(study: Study) -> str:
    return str(study.folder / "runs" / "studies" / "tiny" / "trials" / "0000")


def trains(study: Study) -> bool:
    last = pulse.read(folder(study))
    return bool(last and last.phase == "training")


def saved_at(printed: str, every: int) -> int:
    """Where the run was saved: at once, and not at a validation."""
    found = re.search(LEAVES, printed)
    assert found, printed
    saved = int(found[1])
    assert 0 < saved < 2 * every
    assert saved % every
    return saved


def reports(study: Study) -> list[tuple[int, float, dict[str, list[float]]]]:
    """What was measured: scores, and every point of every loss."""
    found = journal.read(folder(study))
    assert len(found) == 2
    return [(one.iteration, one.score.value, one.curve) for one in found]


def assert_free_of_charge(study: Study, workers: int) -> None:
    """The one trial that was paid for is complete; both attempts are in the ledger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", study.environment["AFDCD_STORAGE"])
        (entry,) = kept_study("tiny").entries()
    assert entry.outcome == "completed"
    assert [loss.fault for loss in entry.losses] == ["drain"]
    assert len(entry.attempts) == 2
    assert all(one.device_seconds > 0 for one in entry.attempts)
    assert {one.devices for one in entry.attempts} == {workers}
