"""Helpers of runs that are gone are ended; those of runs that live are not."""

import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from ray.cluster_utils import Cluster as RayCluster
from ray.util.state import list_actors
from ray.util.state.exception import RayStateApiException

from afdcd.search import orphans as module
from afdcd.search.orphans import HELPER, PATIENCE, end, end_orphans, orphans


def actor(job: str, pid: int = 0) -> SimpleNamespace:
    return SimpleNamespace(job_id=job, pid=pid)


def test_a_helper_is_an_orphan_where_no_controller_of_its_job_lives() -> None:
    assert orphans([actor("01", 5), actor("02", 6)], [actor("02")]) == {5}


def test_one_that_ends_by_itself_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{5}, {5}, set()])
    monkeypatch.setattr(module, "_found", lambda api: next(answers, set()))
    monkeypatch.setattr(ray, "get", lambda *_, **__: pytest.fail("ended"))
    monkeypatch.setattr(ray, "remote", lambda **_: lambda function: pytest.fail("ended"))
    waited: list[float] = []
    assert end_orphans("", lambda: False, waited.append) == 0
    assert len(waited) == 2 < PATIENCE


def test_a_driver_that_is_stopped_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_found", lambda api: {5})
    assert end_orphans("", lambda: True, lambda _: pytest.fail("waited")) == 0


def test_a_cluster_that_does_not_answer_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(api: str) -> set[int]:
        raise RayStateApiException("Failed to make request")

    monkeypatch.setattr(module, "_found", silent)
    assert end_orphans("", lambda: False) == 0


def test_only_a_helper_is_ended() -> None:
    """By then its number may belong to another process."""
    names = (f"ray::{HELPER}", "sleep")
    found = [subprocess.Popen(["bash", "-c", f"exec -a {name} sleep 60"]) for name in names]
    try:
        for process, name in zip(found, names, strict=True):
            while name.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()[:50]:
                time.sleep(0.01)
        assert [end(process.pid) for process in found] == [True, False]
        assert found[0].wait(timeout=10) < 0
        assert found[1].poll() is None
    finally:
        for process in found:
            process.kill()
            process.wait()
    assert not end(found[0].pid)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.xdist_group("ray")
def test_a_helper_that_nobody_told_to_look_is_ended_on_a_real_cluster() -> None:
    """As Ray Train starts it; its controller, which never lived, cannot tell it to look."""
    from ray.train.v2._internal.execution.controller.placement_group_cleaner import (
        PlacementGroupCleaner,
    )

    cluster = RayCluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        context = ray.init(address=cluster.address, log_to_driver=False)
        helper = ray.remote(num_cpus=0)(PlacementGroupCleaner).options(lifetime="detached")
        helper.remote("00", 1.0, 1.0, 2.0)
        api = f"http://{context.dashboard_url}"
        while not list_actors(api, filters=[("state", "=", "ALIVE")]):
            time.sleep(0.2)
        assert end_orphans(api, lambda: False) == 1
        while list_actors(api, filters=[("state", "=", "ALIVE")]):
            time.sleep(0.2)
    finally:
        ray.shutdown()
        cluster.shutdown()
