"""The main job for real: local Ray, SQLite, and whatever can go wrong in one study.

The driver is killed; of two settings that are asked for then, one meets a damaged row and one diverges.
The study goes on by the same command, the others finish, and the better one is the candidate. One test
shows all of it, for each start of a driver or a trial takes many seconds. A killed worker:
tests/test_train.py; a cluster that outlives its drivers: tests/test_job.py.
"""

import math
import re
from pathlib import Path

import numpy as np
import optuna
import pyarrow.parquet as pq
import pytest

from afdcd.data.shards.rows import open_split
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import LONGEST_TEMPORARY
from afdcd.models.weights import load_network
from afdcd.search.rows import CAUSE
from afdcd.seeds import derive
from tests.running import (
    Study,
    assert_each_went_on,
    finish,
    iterations_of,
    kill,
    kill_tree,
    steps_of,
    until,
)

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(1200)]

# The third trial's large batches reach rows that the first 64 images of the others do not.
SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:mobilenetv3_small_050"}
    train: {iterations: 4, validate_every: 4, batch: 4}
distiller:
  choice:
    - {method: none}
    - {method: afdcd, tau: {log: [0.05, 1.0]}, groups: 8, patch: 2, pool: 0, fd_weight: 1e-5}
training:
  iterations: 16
  validate_every: 2
  batch: {choice: [4, 40]}
  lr: {choice: [0.01, 1e38]}
study:
  trials: 2
  proof: {seeds: 0}
  max_concurrent: 2
  enqueue:
    - {distiller: {method: none}, training: {batch: 4, lr: 0.01}}
    - {distiller: {method: afdcd, tau: 0.5}, training: {batch: 4, lr: 0.01}}
"""
ASKED = ("{batch: 40, lr: 0.01}", "{batch: 4, lr: 1e38}")  # between the two drivers
SEEN = 16 * 4  # images, by a trial of small batches
GOOD = {"trial-0000": "none", "trial-0001": "afdcd"}
BAD = ("trial-0002", "trial-0003")


def test_a_study_survives_what_can_go_wrong_and_ends_in_the_registry(tmp_path: Path) -> None:
    root = tmp_path / "data"
    prepare_synthetic(str(root), SyntheticConfig(height=64, width=64, train=120, val=6, test=6))
    damaged = _damage_a_row_that_small_batches_do_not_see(root)
    study = Study(tmp_path, SPACE.replace("ROOT", str(root)))
    study.environment |= _of_a_compute_node(tmp_path)
    for name in (
        "RAY_AUTH_MODE",
        "RAY_AUTH_TOKEN",
    ):  # of a cluster that an earlier test joined here
        study.environment.pop(name, None)
    process = study.start()
    try:
        before = until(process, "trial 0 none  iteration 6/16")
        before += kill(process)
        running = [trial for trial in _trials(study) if trial.state.name == "RUNNING"]
        for training in ASKED:
            study.ask("enqueue", "tiny", f"{{distiller: {{method: none}}, training: {training}}}")
        process = study.start()
        printed = finish(process)
    finally:
        kill_tree(process)
    assert "Traceback" not in before + printed
    _assert_nothing_was_done_twice(study, before, printed)
    _assert_trials_went_on(study, running)
    _assert_bad_trials_told_their_causes(printed, damaged)
    _assert_nobody_else_speaks(printed)
    _assert_runs_show_it(study)
    assert "models:/tiny@candidate" in printed
    _assert_candidate_is_the_best(study)


def _of_a_compute_node(tmp_path: Path) -> dict[str, str]:
    """A home that cannot be written, and a temporary folder too long for Ray's sockets."""
    folder = tmp_path / "as-long-as-slurm-makes-it"
    folder.mkdir()
    assert len(str(folder)) > LONGEST_TEMPORARY
    return {"HOME": "/dev/null", "TMPDIR": str(folder)}


def _damage_a_row_that_small_batches_do_not_see(root: Path) -> str:
    """Its key. All trials share one seed, so one order of rows."""
    rows = open_split(str(root), "synthetic", "dev", "train")
    order = np.random.default_rng(derive(0, "order", 0)).permutation(len(rows)).tolist()
    key = rows.key(order[SEEN])
    (shard,) = root.glob("train-*.parquet")
    stored = {row["key"]: row["image"] for row in pq.read_table(shard).to_pylist()}
    content = shard.read_bytes()
    middle = content.index(stored[key]) + len(stored[key]) // 2
    shard.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])  # of the same size
    return key


def _assert_nothing_was_done_twice(study: Study, before: str, printed: str) -> None:
    assert "teacher pspnet-mobilenetv3_small_050 starts" in before
    assert "teacher pspnet-mobilenetv3_small_050 starts" not in printed  # found in the registry
    assert_each_went_on(before, printed)
    for number, name in enumerate(GOOD):
        steps = steps_of(study, name)
        assert steps == sorted(set(steps)), "a point was logged twice"
        assert iterations_of(before + printed)[number] <= set(steps)
        assert steps[-1] == 16


def _assert_trials_went_on(study: Study, running: list[optuna.trial.FrozenTrial]) -> None:
    trials = {trial.number: trial for trial in _trials(study)}
    assert 0 in [trial.number for trial in running]
    assert all(trials[trial.number].params == trial.params for trial in running)
    states = [trials[number].state.name for number in sorted(trials)]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "FAIL"]
    assert all(trials[number].user_attrs[CAUSE] for number in (2, 3))


def _assert_bad_trials_told_their_causes(printed: str, damaged: str) -> None:
    lines = [line.partition("] ")[2] for line in printed.splitlines()]
    (bad_row,) = [line for line in lines if line.startswith("trial 2 none lost: ")]
    (diverged,) = [line for line in lines if line.startswith("trial 3 none infeasible: ")]
    assert f"row '{damaged}' cannot be read" in bad_row
    assert "prepare the data set again" in bad_row
    assert "infeasible: loss term task is not finite at iteration 2" in diverged


def _assert_nobody_else_speaks(printed: str) -> None:
    """No line of Ray, Optuna, MLflow or Python's warnings, on stdout or stderr."""
    running = printed.partition("\n\n")[0].splitlines()  # a blank line precedes the summary
    ours = re.compile(r"study 'tiny': |\[\d\d:\d\d:\d\d\] (teacher|trial|scores|starts) ")
    assert [line for line in running if not ours.match(line)] == []


def _assert_runs_show_it(study: Study) -> None:
    runs = study.runs()
    teachers = {name for name in runs if name.startswith("teacher-")}
    assert len(teachers) == 1
    assert set(runs) == {"study", *GOOD, *BAD} | teachers
    statuses = {name: run.info.status for name, run in runs.items()}
    assert statuses == dict.fromkeys(runs, "FINISHED") | dict.fromkeys(BAD, "FAILED")
    parent = runs["study"].info.run_id
    for name in (*GOOD, *BAD):
        assert runs[name].data.tags["mlflow.parentRunId"] == parent
    for name, method in GOOD.items():
        run = runs[name]
        assert run.data.params["distiller.method"] == method
        assert any(key.startswith("iou/") for key in run.data.metrics)
        assert "panel.png" in [item.path for item in study.client.list_artifacts(run.info.run_id)]


def _assert_candidate_is_the_best(study: Study) -> None:
    version = study.client.get_model_version_by_alias("tiny", "candidate")
    runs = study.runs()
    best = max(GOOD, key=lambda name: runs[name].data.metrics["miou"])
    assert int(version.tags["trial"]) == int(best.removeprefix("trial-"))
    best_miou = runs[best].data.metrics["miou"]
    assert math.isclose(float(version.tags["miou"]), best_miou, abs_tol=1e-4)
    for tag in ("pair", "dataset", "parameters", "gflops", "study", "trial", "git_commit"):
        assert version.tags[tag]
    folder = study.folder / "runs" / "studies" / "tiny" / "trials"
    network, card = load_network(folder / f"{int(version.tags['trial']):04d}/student.safetensors")
    assert card.classes[0] == "sky"
    assert int(version.tags["parameters"]) == sum(p.numel() for p in network.parameters())


def _trials(study: Study) -> list[optuna.trial.FrozenTrial]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{study.folder}/runs/study.db")
    loaded = optuna.load_study(study_name="tiny", storage=storage)
    return [t for t in loaded.get_trials() if t.state.name != "WAITING"]
