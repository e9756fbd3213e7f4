"""The main job as people run it on a cluster, with everything going wrong beside it.

`ray job submit`, two workers for each run, settings that were asked for. A worker is killed, MLflow's
server is gone for a while, the database is started anew, the teacher's alias is moved: the values, the
weights and the candidate are those of a study that nothing happened to.
"""

import re
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from afdcd.tracking.registry import Version, register
from tests.faults.disturbed import write_space
from tests.faults.outcome import difference, facts_of, leftovers
from tests.faults.stand import RAY, Service, Stand, stand, until
from tests.running import save_teacher

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray"), pytest.mark.timeout(1200)]
BEGUN = re.compile("trial 0 none (?:starts|goes on)")
LONG = 600.0  # seconds; two cores start the two workers of a run in twenty


def test_a_disturbed_job_ends_with_the_values_of_the_undisturbed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stand() as here:
        monkeypatch.setenv("AFDCD_STORAGE", here.environment["AFDCD_STORAGE"])
        client = MlflowClient(here.uri)
        _register_teacher(here, client, tmp_path)
        quiet = _submit(here, tmp_path, "quiet")
        until("the undisturbed study", lambda: _ended(quiet), LONG)
        disturbed = _submit(here, tmp_path, "disturbed")
        _disturb(here, client, tmp_path, disturbed)
        until("the disturbed study", lambda: _ended(disturbed), LONG)
        assert "Traceback" not in disturbed.printed()
        assert " lost: " in disturbed.printed()
        right = facts_of(here, "quiet")
        assert right["alias candidate"]
        assert difference(right, facts_of(here, "disturbed")) == ({}, [])
        assert leftovers(here) == []


def _disturb(here: Stand, client: MlflowClient, folder: Path, study: Service) -> None:
    until("a validation", lambda: "iteration 10/40" in study.printed(), LONG)
    worker = next(p for p, title in here.processes() if "RayTrainWorker" in title)
    worker.kill()
    _register_teacher(here, client, folder)  # the alias leads to other weights now
    here.mlflow.kill()
    until("the run again", lambda: len(BEGUN.findall(study.printed())) == 2, LONG)
    here.postgres.stop()
    time.sleep(3)
    here.postgres.start()
    until("another run", lambda: "trial 1 afdcd starts" in study.printed(), LONG)
    here.mlflow.start()


def _register_teacher(here: Stand, client: MlflowClient, folder: Path) -> None:
    """A new version of the model `teacher`, which is the best from now on."""
    file = folder / "teacher.safetensors"
    save_teacher(file)
    run = client.create_run("0").info.run_id
    register(client, Version("teacher", run, {}, "", aliases=("best",)), file.read_bytes())


def _submit(here: Stand, folder: Path, name: str) -> Service:
    working = folder / name
    working.mkdir()
    space = write_space(here, working)
    command = [RAY, "job", "submit", "--working-dir", str(working), "--submission-id", name, "--"]
    command += ["python", "-m", "afdcd.tune", space.name, f"study.name={name}"]
    command += ["resources.workers=2", "pair.teacher.weights=models:/teacher@best"]
    command += ["study.proof.seeds=0"]  # `tests.faults.kill` disturbs the proof too
    return here.service(command, RAY_ADDRESS="", RAY_API_SERVER_ADDRESS=here.api)


def _ended(study: Service) -> bool:
    """Whether it has come to a good end."""
    assert study.process is not None
    status = study.process.poll()
    assert not status, study.printed()
    return status == 0
