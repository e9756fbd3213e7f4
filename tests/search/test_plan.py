"""The plan of a study: how many runs of which kind, where the hours come from, what the clock says."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest

from afdcd.config import UserError
from afdcd.search.load import SearchSpace, read_space
from afdcd.search.plan.afford import shortfalls
from afdcd.search.plan.corners import dearest, kind_of
from afdcd.search.plan.devices import GIB, GPUS, Machine, fitting, gpu_named, machine_of
from afdcd.search.plan.interval import Interval
from afdcd.search.plan.known import ledgers
from afdcd.search.plan.make import make_plan, proof_arms
from afdcd.search.plan.memory import memory_of
from afdcd.search.plan.plan import Measured
from afdcd.search.plan.show import shown_plan
from afdcd.training.resources import ResourcesConfig
from tests.stores import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]

SPACE = """data: {dataset: camvid, root: shards, crop: {choice: [[64, 64], [96, 96]]}}
pair:
  student:
    choice:
      - {head: pspnet, encoder: "timm:lcnet_050"}
      - {head: pspnet, encoder: "timm:mobilenetv3_small_050"}
  teacher: {model: {head: pspnet, encoder: "timm:resnet10t"}, weights: t.safetensors}
distiller:
  choice:
    - {method: none}
    - method: afdcd
      tau: {log: [0.05, 1.0]}
      groups: {choice: [8, 16]}
      projector: {choice: [enhanced, plain]}
      patch: 2
      pool: 0
training: {iterations: 400, validate_every: 100, batch: {int: [4, 8], step: 4}}
study:
  trials: 9
  enqueue:
    - {pair: {student: {encoder: "timm:lcnet_050"}}, distiller: {method: none}}
    - {pair: {student: {encoder: "timm:lcnet_050"}}, distiller: {method: afdcd, tau: 0.07}}
    - {distiller: {method: none}, training: {seed: 1}}
"""
GPU = machine_of("4xH200")


@pytest.fixture
def load(tmp_path: Path):
    def load(*overrides: str, text: str = SPACE) -> SearchSpace:
        file = tmp_path / "street.yaml"
        file.write_text(text)
        return read_space(str(file), list(overrides))

    return load


def test_each_pair_and_method_is_shown_at_the_ends_that_need_most(load) -> None:
    found = dearest(load(), lambda c: (memory_of(c, GPU.device).device.likely,))
    assert len({kind_of(config) for config in found}) == len(found) == 4
    for config in found:
        assert (config.data.crop, config.training.batch) == ((96, 96), 8)
        if config.distiller.method == "afdcd":
            assert config.distiller.projector == "enhanced"


def test_runs_references_and_proof_are_counted(load) -> None:
    plan = make_plan(load(), GPU)
    assert (plan.runs, len(plan.references), plan.arms, plan.proof_runs) == (9, 2, 3, 15)
    assert [corner.method for corner in plan.references] == ["none", "afdcd"]
    assert {corner.pair for corner in plan.references} == {"pspnet-resnet10t > pspnet-lcnet_050"}
    assert (plan.loaded, plan.teachers) == (("t.safetensors",), ())
    assert plan.at_once == 4
    assert make_plan(load("study.proof.seeds=0"), GPU).proof_runs == 0
    assert make_plan(load("study.budget.runs=20", "study.trials=20"), GPU).runs == 20


def test_a_proof_has_as_many_arms_as_there_are_things_to_compare(load) -> None:
    assert proof_arms(load()) == 3
    assert proof_arms(load("study.enqueue=[{distiller: {method: none}}]")) == 2
    assert proof_arms(load("study.enqueue=[]", "distiller={method: none}")) == 1
    assert proof_arms(load("study.enqueue=[{}]", "distiller={method: kd}")) == 3


def test_hours_add_up_and_runs_stand_side_by_side_on_the_clock(load) -> None:
    plan = make_plan(load(), GPU)
    one, run = plan.one_run.likely, plan.clock_hours["references"].likely  # two of four at once
    assert plan.device_hours["search"].likely == pytest.approx(7 * one)
    assert plan.device_hours["proof"].likely == pytest.approx(15 * one)
    assert plan.least_run.device_hours < one
    assert plan.least_run.hours < run
    assert plan.clock_hours["search"].likely == pytest.approx(2 * run)  # nine are three turns
    assert plan.clock_hours["proof"].likely == pytest.approx(4 * run)
    slower = make_plan(load("study.max_concurrent=1"), GPU)
    assert slower.clock_hours["proof"].likely == pytest.approx(15 * run)


def test_twice_the_workers_halve_what_each_holds(load) -> None:
    one, two = (make_plan(load(f"resources.workers={n}"), GPU) for n in (1, 2))
    assert two.at_once == 2
    for alone, shared in zip(one.corners, two.corners, strict=True):
        assert shared.memory.activations < 0.7 * alone.memory.activations
        assert shared.memory.optimizer == alone.memory.optimizer
        assert shared.device_hours.likely == pytest.approx(2 * shared.hours.likely)


def test_figures_that_were_measured_take_the_place_of_reckoned_ones(load) -> None:
    plan = make_plan(load(), GPU)
    kind = plan.corners[0].kind
    measured = {kind: Measured(Interval.exactly(9.0), peak=3 * GIB)}
    corner = make_plan(load(), GPU, {}, measured).corners[0]
    assert corner.origin == "measured here"
    assert corner.hours.likely > 400 * 9.0 / 3600
    assert corner.need.likely == 3 * GIB


def noted(folder: Path, setting: dict[str, Any], device: str, *, state: str = "COMPLETE") -> None:
    """A run of 400 iterations that held two devices for an hour, as Optuna keeps it."""
    attempts = [{"started": 0.0, "at": 3600.0, "devices": 2, "device": device}]
    with sqlite3.connect(folder / "study.db") as database:
        database.execute("CREATE TABLE trials (trial_id INTEGER, state TEXT)")
        database.execute(
            "CREATE TABLE trial_user_attributes (trial_id INTEGER, key TEXT, value_json TEXT)"
        )
        database.execute("INSERT INTO trials VALUES (1, ?)", (state,))
        for key, value in (("setting", setting), ("attempts", attempts)):
            row = (1, key, json.dumps(value))
            database.execute("INSERT INTO trial_user_attributes VALUES (?, ?, ?)", row)


@pytest.mark.parametrize(("state", "known"), [("COMPLETE", True), ("FAIL", False)])
def test_what_such_runs_have_cost_before_is_believed(
    load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, known: bool
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    cpus = Machine(machine_of("2xCPU").device, 2)
    before = make_plan(load(), cpus, ledgers())
    assert {corner.origin for corner in before.corners} == {"reckoned"}
    corner = before.corners[1]
    noted(tmp_path, corner.config.plain(), "cpu", state=state)
    after = make_plan(load(), cpus, ledgers()).corners[1]
    assert after.origin == ("1 run before" if known else "reckoned")
    if known:
        assert after.device_hours.likely == pytest.approx(2.0)
    elsewhere = make_plan(load(), machine_of("2xCPU"), ledgers()).corners[1]
    assert elsewhere.origin == "reckoned"  # a cluster that was named is another machine


def test_a_study_database_on_a_server_is_asked_too(
    load, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_STUDY_DB", postgres)
    config = make_plan(load(), Machine(machine_of("2xCPU").device, 2)).corners[1].config
    attempt = {"at": 100.0, "started": 0.0, "devices": 2, "device": "cpu"}
    trial = optuna.create_study(storage=postgres).ask()
    trial.set_user_attr("setting", config.plain())
    trial.set_user_attr("attempts", [attempt])
    assert not ledgers()  # it goes on
    trial.study.tell(trial, 0.5)
    (seconds,) = ledgers().values()
    assert seconds == [200.0 / config.training.iterations]


def test_a_database_that_is_none_is_no_reason_not_to_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "none"))
    assert not ledgers()
    assert not (tmp_path / "none").exists()  # nothing is made
    (tmp_path / "study.db").write_text("no database")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    assert not ledgers()
    monkeypatch.setenv("AFDCD_STUDY_DB", "postgresql://somewhere/else")
    assert not ledgers()


def test_a_budget_below_the_least_of_what_must_run_is_told_with_its_line(load) -> None:
    space = load("study.budget={device_hours: 0.001, wall_clock: 1m}")
    first, second = shortfalls(space, make_plan(space, GPU))
    assert "street.yaml:18: study.budget.device_hours: 0.001 h cannot pay for references " in first
    assert "street.yaml:18: study.budget.wall_clock: 0.0166667 h cannot pay for " in second
    enough = load("study.budget={device_hours: 1000, wall_clock: 20d}")
    assert not shortfalls(enough, make_plan(enough, GPU))
    plan = make_plan(space, GPU)
    between = plan.device_hours["references"].low + plan.device_hours["proof"].low
    tight = load(f"study.budget.device_hours={1.01 * between}")
    assert not shortfalls(tight, make_plan(tight, GPU))
    (warned,) = shortfalls(tight, make_plan(tight, GPU), likely=True)
    assert "hardly pay" in warned


@pytest.mark.parametrize(
    ("text", "count", "name"),
    [("8xH100", 8, "H100"), ("a100-40", 1, "A100-40"), ("64xcpu", 64, "CPU")],
)
def test_a_cluster_is_named_in_one_word(text: str, count: int, name: str) -> None:
    machine = machine_of(text)
    assert (machine.count, machine.device.name, machine.named) == (count, name, True)


@pytest.mark.parametrize(
    "wrong", ["8", "0xH100", "8xH999", "8 x H100", "H100x8", "", "-1xH100", "8xH100!"]
)
def test_a_cluster_that_nobody_knows_is_told_with_those_that_are_known(wrong: str) -> None:
    with pytest.raises(UserError, match=r"--cluster .*: write COUNTxKIND, e.g. 8xH100; known: "):
        machine_of(wrong)


def test_a_machine_has_what_runs_ask_for_or_says_so() -> None:
    cpu, gpu = ResourcesConfig(device="cpu"), ResourcesConfig(device="gpu")
    assert fitting(machine_of("8xH100"), gpu).count == 8
    with pytest.raises(UserError, match=r"resources.device: cpu, but --cluster names GPUs"):
        fitting(machine_of("8xH100"), cpu)
    with pytest.raises(UserError, match=r"resources.device: gpu, but 2 x CPU has none"):
        fitting(machine_of("2xCPU"), gpu)
    assert not fitting(Machine(GPUS["h100"], 8), cpu).device.is_gpu  # this one, which has cores too


def test_a_gpu_is_known_by_what_its_driver_calls_it() -> None:
    found = gpu_named("NVIDIA A100-SXM4-40GB", 39.4 * GIB)
    assert (found.bandwidth, found.memory) == (GPUS["a100-40"].bandwidth, 39.4 * GIB)
    assert gpu_named("L40S", 0.0).flops == GPUS["l40s"].flops  # and not L4's; Ray says no memory
    assert gpu_named("Some New Thing", GIB).spread[1] > GPUS["h100"].spread[1]


RIVALS = SPACE.replace("study:\n", "study:\n  budget_per: distiller.method\n").replace(
    "    - {method: none}\n",
    "    - {method: none}\n    - {method: kd, weight: {log: [0.1, 10.0]}}\n",
)


def test_the_runs_of_each_rival_are_told(load) -> None:
    plan = make_plan(load("study.trials=40", text=RIVALS), GPU)
    # Of the plain student two crops, students and batches, and no more.
    assert plan.shares == {"none": 8, "kd": 16, "afdcd": 16}
    assert plan.runs == 40
    shown = shown_plan(plan).splitlines()
    assert any(re.match(r" +8 +of these and the references: none$", line) for line in shown)
    plan = make_plan(load("study.trials=10", text=RIVALS), GPU)
    assert plan.shares == {"none": 3, "kd": 3, "afdcd": 3} and plan.runs == 9
    assert any(re.match(r" +1 +left over", line) for line in shown_plan(plan).splitlines())


def test_the_proof_of_rivals_has_two_settings_of_each_and_the_plain_student(load) -> None:
    """Of kd no published setting is asked for."""
    plan = make_plan(load(text=RIVALS), GPU)
    assert (plan.arms, plan.proof_runs) == (4, 20)
