"""What a study tells Prometheus: true figures, no trouble for the study, and no work where nobody listens."""

import threading
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from afdcd.search import run_study
from afdcd.search.gauges import OUTCOMES, Figures, Gauges, published, ray_metrics
from afdcd.search.local_cluster import free_port, session_folder
from afdcd.tasks.score import DEFAULT_MEASURE
from afdcd.training.job import RunResult
from tests.examples import job, report, score


def gauges(**changes: Any) -> Gauges:
    return Gauges(lambda: 12, clock=lambda: 100.0, **changes)


def entry(name: str, outcome: str | None, losses: int = 0) -> Any:
    return SimpleNamespace(run=SimpleNamespace(name=name), outcome=outcome, losses=(1,) * losses)


def test_runs_are_counted_by_where_they_are_now() -> None:
    told = gauges().know([entry("a", "completed"), entry("b", "paused", 2), entry("c", None)])
    told.started(job("c"))
    told.started(job("d"))
    told.ended(job("d"), RunResult("lost"))
    now = told.figures()
    assert {k: v for k, v in now.runs.items() if v} == {
        "completed": 1,
        "paused": 1,
        "running": 1,
        "lost": 1,
    }
    assert (now.lost, now.wanted) == (3, 12)
    told.started(job("d"))  # it goes on
    assert told.figures().runs["lost"] == 0
    assert told.figures().lost == 3


def test_hours_go_on_from_those_of_earlier_drivers() -> None:
    told = gauges(before=6.5)
    told.reported(job("a"), report(2))
    told.reported(job("a"), report(4, seconds=3600.0))
    told.reported(job("b"), report(2))
    assert told.figures().device_hours == pytest.approx(6.5 + 2.0 + 1.0)


def test_the_best_is_that_of_a_trial_at_full_length() -> None:
    told = gauges(best=score(0.3))
    told.reported(job("a"), report(2, 0.9))  # half-way
    told.reported(job("b").updated(repeats="trial-0000"), report(4, 0.8))  # a further seed
    assert told.figures().best == 0.3
    told.reported(job("a"), report(4, 0.4))
    assert told.figures().best == 0.4


def test_progress_is_a_start_a_report_or_an_end() -> None:
    now = 100.0
    told = Gauges(lambda: None, clock=lambda: now)
    for happens in (
        lambda: told.started(job("a")),
        lambda: told.reported(job("a"), report(2)),
        lambda: told.ended(job("a"), RunResult("completed")),
    ):
        now += 60.0
        happens()
        assert told.figures().progressed == now
    told.interrupted()
    assert told.figures().progressed == now


def test_figures_are_handed_on_again_and_again_and_at_the_end() -> None:
    heard: list[Figures] = []
    twice = threading.Event()

    def publish(figures: Figures) -> None:
        heard.append(figures)
        if len(heard) == 2:
            twice.set()

    with published(gauges(), publish, every=0.001) as told:
        assert twice.wait(30)
        told.ended(job("a"), RunResult("completed"))
    assert heard[-1].runs["completed"] == 1


def test_trouble_with_metrics_is_nothing_to_the_study() -> None:
    def publish(figures: Figures) -> None:
        raise RuntimeError("Ray was shut down")

    with published(gauges(), publish, every=0.001) as told:
        told.started(job("a"))


def test_without_a_cluster_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a row is read, nor a thread started."""
    before = threading.active_count()
    nothing: Any = None
    with run_study._watched(nothing, nothing) as watchers:
        assert watchers == []
        assert threading.active_count() == before


def test_on_a_cluster_a_study_begins_with_what_earlier_drivers_brought_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[Figures] = []
    best = SimpleNamespace(value=0.3, run="0")
    study: Any = SimpleNamespace(
        name="cityscapes",
        spent=lambda: 6.5,
        best=lambda: [best],
        rules=SimpleNamespace(measure=DEFAULT_MEASURE),
        entries=lambda: [entry("a", "lost", 2)],
    )
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setattr(run_study, "ray_metrics", {"cityscapes": heard.append}.get)
    progress: Any = SimpleNamespace(wanted=40)
    with run_study._watched(study, progress) as (watcher,):
        watcher.ended(job("b"), RunResult("completed"))
    last = heard[-1]
    assert (last.wanted, last.lost, last.device_hours, last.best) == (40, 2, 6.5, 0.3)
    assert (last.runs["lost"], last.runs["completed"]) == (1, 1)


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(240)
def test_prometheus_sees_them_on_the_metrics_port_of_the_node(tmp_path: Path) -> None:
    port = free_port()
    ray.init(
        address="local",
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=80_000_000,
        logging_level="ERROR",
        _temp_dir=session_folder(),
        _metrics_export_port=port,
    )
    try:
        told = gauges(before=1.5, best=score(0.4)).know(
            [entry("a", "completed"), entry("b", "lost", 3)]
        )
        with published(told, ray_metrics("cityscapes"), every=1.0):
            shown = _shown(port)
    finally:
        ray.shutdown()
    assert shown['ray_afdcd_study_runs{outcome="completed"}'] == 1
    assert shown['ray_afdcd_study_runs{outcome="lost"}'] == 1
    assert shown["ray_afdcd_study_runs_wanted"] == 12
    assert shown["ray_afdcd_study_runs_lost_total"] == 3
    assert shown["ray_afdcd_study_device_hours"] == 1.5
    assert shown["ray_afdcd_study_best_score"] == 0.4
    assert shown["ray_afdcd_study_last_progress_timestamp_seconds"] == 100


def _shown(port: int) -> dict[str, float]:
    """The study's metrics without the labels that Ray adds; waits, for Ray takes seconds."""
    for _ in range(180):
        found: dict[str, float] = {}
        try:
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()
        except OSError:
            page = b""
        for line in page.decode().splitlines():
            if not line.startswith("ray_afdcd") or 'study="cityscapes"' not in line:
                continue
            name, _, rest = line.partition("{")
            labels, _, value = rest.rpartition("} ")
            kept = [part for part in labels.split(",") if part.startswith("outcome=")]
            found[name + (f"{{{kept[0]}}}" if kept else "")] = float(value)
        if len(found) == len(OUTCOMES) + 5:
            return found
        time.sleep(1)
    return found
