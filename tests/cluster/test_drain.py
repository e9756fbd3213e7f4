"""Nodes of a real cluster are drained while runs train on them, as a cloud does that takes them away.

The same study runs undisturbed and then disturbed, and both must come to the same numbers. The nodes
are Ray's own test nodes, processes of this machine with one CPU each.
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
from afdcd.search.rows import Entry
from afdcd.training import journal, pulse
from tests.running import ROOT, Study, finish, kill_tree, until

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(1800), pytest.mark.slow]

LENGTH, EVERY = 640, 320
SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 640, validate_every: 320, batch: 2, lr: {choice: [0.01, 0.02]}}
study: {trials: NUMBER, proof: {seeds: 0}, enqueue: REFERENCES}
resources: {workers: WORKERS, cpus_per_worker: 1, device: cpu}
"""
LEAVES = (
    r"node \S+ is being drained: trial (\d) none saved at iteration (\d+) of 640, goes on elsewhere"
)


class Nodes:
    """A cluster whose head computes nothing, and a study that runs on it."""

    def __init__(self, cluster: Any, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        self.root = str(folder / "data")
        prepare_synthetic(self.root, SyntheticConfig(height=64, width=64, train=36, val=2, test=1))

    def study(self, name: str, workers: int, *rates: float) -> Study:
        place = self.folder / name
        place.mkdir()
        asked = ", ".join(f"{{training: {{lr: {rate}}}}}" for rate in rates)
        space = SPACE.replace("ROOT", self.root).replace("WORKERS", str(workers))
        space = space.replace("NUMBER", str(len(rates))).replace("REFERENCES", f"[{asked}]")
        study = Study(place, space)
        study.environment |= {"RAY_ADDRESS": self.cluster.address}
        return study

    def workers(self) -> dict[str, str]:
        """The node of each worker of a run, by the worker's id."""
        alive = [("class_name", "=", "RayTrainWorker"), ("state", "=", "ALIVE")]
        return {one.actor_id: one.node_id for one in list_actors(filters=alive)}

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
        for _ in range(2):
            cluster.add_node(num_cpus=1)
        ray.init(cluster.address, log_to_driver=False)
        yield Nodes(cluster, tmp_path)
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_runs_of_a_drained_node_go_on_elsewhere_as_if_nothing_had_been(nodes: Nodes) -> None:
    """Two runs on two nodes. The one that leaves waits: on the node that is drained it has no place."""
    calm = nodes.study("calm", 1, 0.01, 0.02)
    finish(calm.start())
    moved = nodes.study("moved", 1, 0.01, 0.02)
    process = moved.start()
    try:
        soon(lambda: trains(moved, 0) and trains(moved, 1))
        drained = nodes.workers().popitem()[1]
        nodes.drain(drained)
        printed = until(process, "is being drained")
        trial, saved = told(printed)
        assert saved % EVERY  # at once, and not at a validation
        printed += until(process, f"trial {trial} none goes on after iteration {saved} of {LENGTH}")
        soon(lambda: len(nodes.workers()) == 1)
        assert drained not in nodes.workers().values()
        printed += finish(process)
    finally:
        kill_tree(process)
    assert len(re.findall(LEAVES, printed)) == 1
    for number in (0, 1):
        assert reports(moved, number) == reports(calm, number)
        assert_free_of_charge(moved, number, losses=int(number == trial))


def test_a_run_of_two_nodes_leaves_both_when_one_is_drained(nodes: Nodes) -> None:
    calm = nodes.study("calm", 2, 0.01)
    finish(calm.start())
    moved = nodes.study("moved", 2, 0.01)
    process = moved.start()
    try:
        soon(lambda: trains(moved, 0))
        both = nodes.workers()
        assert len(set(both.values())) == 2
        nodes.drain(sorted(both.values())[0])
        printed = until(process, "is being drained")
        _, saved = told(printed)
        assert saved % EVERY
        nodes.cluster.add_node(num_cpus=1)
        printed += finish(process)
    finally:
        kill_tree(process)
    assert f"trial 0 none goes on after iteration {saved} of {LENGTH}" in printed
    assert reports(moved, 0) == reports(calm, 0)
    assert_free_of_charge(moved, 0, losses=1)


def soon(true: Callable[[], bool]) -> None:
    """Wait; a test that hangs ends by its own limit."""
    while not true():
        time.sleep(0.2)


def folder(study: Study, trial: int) -> str:
    return str(study.folder / "runs" / "studies" / "tiny" / "trials" / f"{trial:04d}")


def trains(study: Study, trial: int) -> bool:
    last = pulse.read(folder(study, trial))
    return bool(last and last.phase == "training" and last.iteration > 5)


def told(printed: str) -> tuple[int, int]:
    """Which trial left, and where it was saved."""
    found = re.search(LEAVES, printed)
    assert found, printed
    return int(found[1]), int(found[2])


def reports(study: Study, trial: int) -> list[tuple[int, float, dict[str, list[float]]]]:
    """What was measured: scores, and every point of every loss."""
    found = journal.read(folder(study, trial))
    return [(one.iteration, one.score.value, one.curve) for one in found]


def assert_free_of_charge(study: Study, trial: int, losses: int) -> None:
    entry = entry_of(study, trial)
    assert entry.outcome == "completed"
    assert [loss.fault for loss in entry.losses] == ["drain"] * losses
    assert len(entry.attempts) == losses + 1
    assert all(one.device_seconds > 0 for one in entry.attempts)
    workers = entry.setting["resources"]["workers"] if entry.setting else 0
    assert {one.devices for one in entry.attempts} == {workers}


def entry_of(study: Study, trial: int) -> Entry:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", study.environment["AFDCD_STORAGE"])
        entries = kept_study("tiny").entries()
    assert all(entry.outcome == "completed" for entry in entries)
    return next(entry for entry in entries if entry.number == trial)
