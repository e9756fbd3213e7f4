"""The main job for real: local Ray, two workers, SQLite, killed processes.

Each test runs whole studies and takes a minute or two; they share the rendered data.
"""

import math
from pathlib import Path

import optuna
import psutil
import pytest

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.models.weights import load_network
from tests.running import Study, assert_each_went_on, finish, kill_tree, until, workers_of

pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("data") / "synthetic")
    prepare_synthetic(root, SyntheticConfig(height=64, width=96, train=60, val=12, test=6))
    return root


@pytest.fixture
def study(tmp_path: Path, data: str) -> Study:
    return Study(tmp_path, data)


def test_two_trials_on_two_workers_end_in_the_registry(study: Study) -> None:
    process = study.start("resources.workers=2")
    try:
        until(process, "trial 0 none  iteration 2/8")
        victim = next(workers_of(process.pid))
        victim.kill()  # Ray Train restarts the group from its last checkpoint
        printed = finish(process)
    finally:
        kill_tree(process)
    assert "models:/tiny@champion" in printed
    runs = study.runs()
    assert set(runs) == {"study/tiny", "trial-0000", "trial-0001"} | {
        name for name in runs if name.startswith("teacher-")
    }
    assert len(runs) == 4
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    parent = runs["study/tiny"].info.run_id
    for name, method in (("trial-0000", "none"), ("trial-0001", "afdcd")):
        run = runs[name]
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert run.data.params["distiller.method"] == method
        history = study.client.get_metric_history(run.info.run_id, "miou")
        assert [point.step for point in history] == [2, 4, 6, 8]  # once each, in spite of the kill
        assert any(key.startswith("iou/") for key in run.data.metrics)
        assert "panel.png" in [item.path for item in study.client.list_artifacts(run.info.run_id)]
    _assert_champion_is_the_best(study)


def _assert_champion_is_the_best(study: Study) -> None:
    version = study.client.get_model_version_by_alias("tiny", "champion")
    trials = [run for name, run in study.runs().items() if name.startswith("trial-")]
    best = max(trials, key=lambda run: run.data.metrics["miou"])
    assert math.isclose(float(version.tags["miou"]), best.data.metrics["miou"], abs_tol=1e-4)
    for tag in ("pair", "dataset", "parameters", "gflops", "study", "trial", "git_commit"):
        assert version.tags[tag]
    folder = study.folder / "runs" / "studies" / "tiny" / "trials"
    network, card = load_network(folder / f"{int(version.tags['trial']):04d}/student.safetensors")
    assert card.classes[0] == "sky"
    assert int(version.tags["parameters"]) == sum(p.numel() for p in network.parameters())


def test_a_killed_driver_goes_on_by_the_same_command(study: Study) -> None:
    process = study.start("training.iterations=20")
    try:
        before = until(process, "iteration 6/20")
        cluster = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        psutil.wait_procs(cluster, timeout=60)  # a cluster ends itself when its driver is gone
        trials = {t.number: t for t in _trials(study)}
        assert [t.state.name for t in trials.values()].count("RUNNING") >= 1
        process = study.start("training.iterations=20")
        printed = finish(process)
    finally:
        kill_tree(process)
    assert "teacher pspnet-mobilenetv3_small_050 starts" not in printed  # found in the registry
    assert_each_went_on(before, printed)
    after = {t.number: t for t in _trials(study)}
    assert set(after) == {0, 1}
    assert all(after[n].params == t.params for n, t in trials.items())
    assert {t.state.name for t in after.values()} == {"COMPLETE"}
    runs = study.runs()
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in ("trial-0000", "trial-0001"):
        history = study.client.get_metric_history(runs[name].info.run_id, "miou")
        steps = [point.step for point in history]
        assert steps == sorted(set(steps)), "a point was logged twice"
        assert steps[-1] == 20


def _trials(study: Study) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{study.folder}/runs/study.db")
    loaded = optuna.load_study(study_name="tiny", storage=storage)
    return [t for t in loaded.get_trials() if t.state.name != "WAITING"]
