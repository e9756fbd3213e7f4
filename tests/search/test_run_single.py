"""`run_single` with a cluster that does nothing: what it runs, where, and what it hands back."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.search import run_study
from afdcd.search.load import SearchSpace, load_space
from afdcd.search.run_study import run_single
from afdcd.training.job import Job, RunResult

ONE = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 4, validate_every: 2, batch: 4}
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("data"))
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
    return root


class Recorder:
    """A tracker that only listens."""

    def __init__(self) -> None:
        self.data: Any = None
        self.heard: list[str] = []

    def started(self, job: Job) -> None:
        self.heard.append(f"started {job.name}")

    def ended(self, job: Job, end: RunResult) -> None:
        self.heard.append(f"{end.outcome} {job.name}")


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    """The place of MLflow, of Ray and of the storage."""
    recorder = Recorder()

    @contextlib.contextmanager
    def connect() -> Iterator[Any]:
        yield SimpleNamespace(capacity=lambda resources: 1)

    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "storage"))
    monkeypatch.setattr(run_study, "Tracker", lambda: recorder)
    monkeypatch.setattr(run_study, "connect", connect)
    _jobs_run(monkeypatch, lambda job: RunResult("completed", {"iteration": 4, "miou": 0.25}))
    return recorder


def _jobs_run(monkeypatch: pytest.MonkeyPatch, run: Callable[[Job], RunResult | None]) -> None:
    """Let each job end as `run` says; None interrupts."""

    def run_jobs(source: Any, listeners: list[Any], *_: Any, **__: Any) -> bool:
        while job := source.next():
            listeners[0].started(job)
            end = run(job)
            if end is None:
                return False
            source.finish(job, end)
            listeners[0].ended(job, end)
        return True

    monkeypatch.setattr(run_study, "run_jobs", run_jobs)


def _space(folder: Path, shards: str, *overrides: str) -> SearchSpace:
    file = folder / "one.yaml"
    file.write_text(ONE.replace("ROOT", shards))
    return load_space(str(file), overrides)


def test_the_one_configuration_is_run_and_recorded(
    tracker: Recorder, shards: str, tmp_path: Path
) -> None:
    space = _space(tmp_path, shards)
    job, end = run_single(space)
    assert end == RunResult("completed", {"iteration": 4, "miou": 0.25})
    assert job.config == space.examples[0]
    assert job.title == "one"
    assert job.folder == str(tmp_path / "storage" / "runs" / "one" / job.name)
    assert job.teacher is None
    assert tracker.heard == [f"started {job.name}", f"completed {job.name}"]
    assert tracker.data.dataset.name == "synthetic"


def test_what_defines_a_run_decides_where_it_goes_on(
    tracker: Recorder, shards: str, tmp_path: Path
) -> None:
    """The same command finds its checkpoint again; another setting must not."""

    def name(*overrides: str) -> str:
        return run_single(_space(tmp_path, shards, *overrides))[0].name

    first = name()
    assert name("data.loader_workers=2") == first
    assert name("resources.workers=2") == first
    assert name("training.lr=0.3") != first
    assert name("training.seed=1") != first


def test_an_interrupted_run_has_no_end(
    tracker: Recorder, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _jobs_run(monkeypatch, lambda job: None)
    assert run_single(_space(tmp_path, shards)) is None


def test_a_failed_run_is_handed_back_with_its_cause(
    tracker: Recorder, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = RunResult("failed", {}, "loss term task is not finite at iteration 1")
    _jobs_run(monkeypatch, lambda job: failed)
    assert run_single(_space(tmp_path, shards))[1] == failed


def test_a_second_driver_is_refused_while_the_first_lives(
    tracker: Recorder, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = _space(tmp_path, shards)

    def again(job: Job) -> RunResult:
        with pytest.raises(UserError, match="'one' is already being run by another process"):
            run_single(space)
        return RunResult("completed", {"iteration": 4, "miou": 0.25})

    _jobs_run(monkeypatch, again)
    assert run_single(space)[1].outcome == "completed"
    assert run_single(space) is not None  # and not for ever


def test_data_that_are_missing_are_told_before_the_cluster_is_asked(
    tracker: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_study, "connect", lambda: pytest.fail("the cluster was asked for"))
    with pytest.raises(UserError, match="nowhere: no prepared data set here"):
        run_single(_space(tmp_path, "nowhere"))
