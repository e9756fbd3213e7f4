"""A real study that is looked at, steered and ended from elsewhere, and whose worker hangs.

One test shows all of it, for each start of a driver or a run takes many seconds: a worker is frozen,
another terminal asks for a second seed, the study is stopped and goes on, and Ctrl-C twice ends it at
once.
"""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from tests.running import Study, finish, kill_tree, rest, until, workers_of

pytestmark = [pytest.mark.xdist_group("ray"), pytest.mark.timeout(900), pytest.mark.slow]

SPACE = """
data: {dataset: synthetic, crop: [64, 64], root: ROOT}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 1200, validate_every: 8, batch: 4, lr: {choice: [0.01, 0.02]}}
study: {trials: 1, proof: {seeds: 0}, max_concurrent: 1, enqueue: [{training: {lr: 0.01}}]}
"""
# The command itself, with a watchdog that waits for seconds where it should wait for minutes.
IMPATIENT = """
import sys
from afdcd.cli import run
from afdcd.search import watchdog
from afdcd.tune import main
watchdog.FIRST, watchdog.LEAST, watchdog.TIMES, watchdog.LOOK = 180.0, 45.0, 3, 1.0
sys.exit(run(main))
"""


def test_a_study_is_steered_from_another_terminal_and_outlives_a_worker_that_hangs(
    tmp_path: Path,
) -> None:
    root = str(tmp_path / "data")
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=6))
    study = Study(tmp_path, SPACE.replace("ROOT", root))
    process = study.start(program=IMPATIENT)
    try:
        frozen = _outlives_a_frozen_worker(study, process)
        _is_steered(study, process)
        _, left = psutil.wait_procs([frozen], timeout=60)
        assert not left  # it would hold its device for ever
        process = study.start()
        _ends_at_once(process)
        process = study.start()
        printed = finish(process)
        assert re.search(r"^0 seed 1 +\d", printed, flags=re.M)
        assert re.search(r"^0 +\d", printed, flags=re.M)
    finally:
        kill_tree(process)
    whole = study.runs()
    assert {job: run.info.status for job, run in whole.items()} == dict.fromkeys(
        ("study", "trial-0000", "trial-0000-seed-1"), "FINISHED"
    )
    trial, seed = whole["trial-0000"], whole["trial-0000-seed-1"]
    assert seed.data.tags["mlflow.parentRunId"] == trial.info.run_id


def _outlives_a_frozen_worker(study: Study, process: "subprocess.Popen[str]") -> psutil.Process:
    until(process, "trial 0 none  iteration 16/1200")
    (worker,) = workers_of(process.pid)
    worker.send_signal(signal.SIGSTOP)
    until(process, "trial 0 none lost: no sign of life for")
    until(process, "trial 0 none  iteration 32/1200")  # from its checkpoint: nothing is done twice
    return worker


def _is_steered(study: Study, process: "subprocess.Popen[str]") -> None:
    told = study.ask("enqueue", "tiny", "{training: {lr: 0.01, seed: 1}}")
    assert "takes it up" in told
    status = study.ask("status", "tiny")
    assert f"(process {process.pid})" in status
    assert "1 running; 1 queued" in status
    assert "stopped; `afdcd tune` goes on with it" in study.ask("stop", "tiny")
    printed = rest(process)
    assert process.returncode == 130, printed
    assert "(afdcd study stop); the same command goes on" in printed
    ends = {run.info.status for job, run in study.runs().items() if job != "study"}
    assert "KILLED" in ends
    assert "RUNNING" not in ends


def _ends_at_once(process: "subprocess.Popen[str]") -> None:
    until(process, "trial 0 seed 1 none  iteration ")
    cluster = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    time.sleep(0.5)  # two at once would be one: signals are not counted
    os.kill(process.pid, signal.SIGINT)
    printed = rest(process)
    # Where all was over before the second came, it ends as after one.
    assert "the same command goes on" in printed or "interrupted" in printed
    assert process.returncode == 130, printed
    _, left = psutil.wait_procs(cluster, timeout=90)
    for one in left:
        one.kill()
    assert [p for p in left if "Agent" not in "".join(p.cmdline()[:1])] == []
