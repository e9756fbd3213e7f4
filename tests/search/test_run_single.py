"""`run_single` with a cluster that does nothing: what it runs, where, and what it hands back."""

from pathlib import Path
from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.search import run_study
from afdcd.search.load import SearchSpace, load_space
from afdcd.search.run_study import run_single
from afdcd.training.job import Job
from tests.search.virtual import Tracker, drive, failing, install, to_the_end

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


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tracker:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "storage"))
    drive(monkeypatch, to_the_end)
    return install(monkeypatch)


def _space(folder: Path, shards: str, *overrides: str) -> SearchSpace:
    file = folder / "one.yaml"
    file.write_text(ONE.replace("ROOT", shards))
    return load_space(str(file), overrides)


def test_the_one_configuration_is_run_and_recorded(
    tracker: Tracker, shards: str, tmp_path: Path
) -> None:
    space = _space(tmp_path, shards)
    job, end = run_single(space)
    assert (end.outcome, end.score.value) == ("completed", 0.25)
    assert job.config == space.examples[0]
    assert job.title == "one"
    assert job.folder == str(tmp_path / "storage" / "runs" / "one" / job.name)
    assert job.teacher is None
    assert job.choices is None  # decided by rule: two such runs compute the same
    assert tracker.heard[0] == f"going on {job.name}"
    assert tracker.heard[-2:] == [f"completed {job.name}", "closed"]
    assert job.identity == space.examples[0].fingerprint(read_manifest(shards).digest)
    assert tracker.data.dataset.name == "synthetic"


def test_what_defines_a_run_decides_where_it_goes_on(
    tracker: Tracker, shards: str, tmp_path: Path
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
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(monkeypatch, lambda job: None)
    assert run_single(_space(tmp_path, shards)) is None


def test_a_failed_run_is_handed_back_with_its_cause(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(monkeypatch, lambda job: failing("loss term task is not finite at iteration 1"))
    end = run_single(_space(tmp_path, shards))[1]
    assert (end.outcome, end.cause) == ("infeasible", "loss term task is not finite at iteration 1")


def test_a_second_driver_is_refused_while_the_first_lives(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = _space(tmp_path, shards)

    def again(job: Job) -> list[dict[str, Any]]:
        with pytest.raises(UserError, match=r"run one is being run by .* since 20"):
            run_single(space)
        return to_the_end(job)

    drive(monkeypatch, again)
    assert run_single(space)[1].outcome == "completed"
    assert run_single(space) is not None  # and not for ever


def test_data_that_are_missing_are_told_before_the_cluster_is_asked(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_study, "connect", lambda: pytest.fail("the cluster was asked for"))
    with pytest.raises(UserError, match="nowhere: no prepared data set here"):
        run_single(_space(tmp_path, "nowhere"))
