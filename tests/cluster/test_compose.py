"""docker/compose.yaml as it is: up, a search through the guarded job API while services fail, down."""

import base64
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from afdcd.environment import inherited
from tests.cluster.containers import ROOT
from tests.cluster.stack import PORTS, Stack, status

SPACE = (
    *("search_spaces/quickstart.yaml", "study.trials=3", "study.proof.seeds=0", "study.grace=null"),
    *("training.iterations=60", "training.validate_every=20"),
    *("pair.teacher.train.iterations=40", "pair.teacher.train.validate_every=20"),
)
SILENCE = 60.0  # seconds for which a service is gone
OUTAGES = (
    ("mlflow", ("stop", "-t", "1"), "start"),
    ("postgres", ("stop", "-t", "5"), "start"),
    ("store", ("pause",), "unpause"),  # the stand-in keeps what it has only if it is told to end
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600), pytest.mark.xdist_group("ray")]


def test_the_job_api_opens_to_the_token_alone(stack: Stack) -> None:
    url = f"http://127.0.0.1:{PORTS['DASHBOARD_PORT']}/api/jobs/"
    assert status(url, {}) == 401
    assert status(url, {"Authorization": f"Bearer {'0' * 48}"}) == 403
    assert status(url, {"Authorization": f"Bearer {stack.values['RAY_AUTH_TOKEN']}"}) == 200


def test_mlflow_opens_to_its_password_and_to_its_own_names_alone(stack: Stack) -> None:
    url = f"http://127.0.0.1:{PORTS['MLFLOW_PORT']}/api/2.0/mlflow/experiments/search?max_results=1"
    secret = f"admin:{stack.values['MLFLOW_ADMIN_PASSWORD']}".encode()
    known = {"Authorization": f"Basic {base64.b64encode(secret).decode()}"}
    assert status(url, {}) == 401
    assert status(url, known) == 200
    assert status(url, {**known, "Host": "mlflow:5000"}) == 200
    assert status(url, {**known, "Host": "evil.example"}) == 403


def test_the_doctor_finds_nothing_to_mend_from_the_driver_and_from_each_node(stack: Stack) -> None:
    submit = ("ray", "job", "submit", "--address", "http://127.0.0.1:8265", "--")
    doctor = ("python", "-m", "afdcd.doctor", "--from-worker")

    def examined() -> str:
        return stack.made.podman("exec", "afdcd_head_1", *submit, *doctor, check=False).stdout

    stack.until(lambda: "3 node(s)" in examined(), "both workers have joined")
    told = examined()
    assert "MEND" not in told
    for name in ("storage", "study database", "MLflow"):
        assert f"ok    {name}: " in told
        assert f"ok    {name} on " in told
    assert "silently cut host is noticed after 15 s" in told


def test_a_submitted_search_ends_although_each_service_fails_for_a_minute(stack: Stack) -> None:
    """The student is registered, its weights lie in the store, its runs in PostgreSQL."""
    log = stack.folder / "tune.log"
    with log.open("w") as out:
        job = stack.begin("run", "--rm", "tune", *SPACE, stdout=out, stderr=subprocess.STDOUT)
    try:
        stack.until(
            lambda: "trial 0" in log.read_text() or job.poll() is not None, "trial 0 starts"
        )
        for name, gone, back in OUTAGES:
            stack.made.podman(*gone, f"afdcd_{name}_1")
            time.sleep(SILENCE)
            stack.made.podman(back, f"afdcd_{name}_1")
            stack.until_well(name)
        ended = job.wait(1800)
    finally:
        job.kill()
    told = log.read_text()
    if ended:  # a driver may give up on a database that is gone for long: the same command goes on
        told += stack.compose("run", "--rm", "tune", *SPACE).stdout
    assert "models:/quickstart@candidate" in told, told[-4000:]
    assert stack.sql("afdcd", "select count(*) from trials where state = 'COMPLETE'") == "3"
    assert int(stack.sql("mlflow", "select count(*) from runs where status = 'FINISHED'")) >= 4
    assert stack.objects("afdcd"), "checkpoints and weights are in the store"
    assert [name for name in stack.objects("mlflow") if name.endswith(".safetensors")]


def test_the_student_labels_a_picture_outside_where_nobody_knows_the_store(
    stack: Stack, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "street.png")
    known = {
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{PORTS['MLFLOW_PORT']}",
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": stack.values["MLFLOW_ADMIN_PASSWORD"],
        "AFDCD_STORAGE": str(tmp_path / "none"),
    }
    command = [sys.executable, "-m", "afdcd.predict", "models:/quickstart@candidate"]
    command += [str(tmp_path / "street.png"), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        command, cwd=ROOT, env=inherited(**known), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "street.png").exists()


def test_down_and_up_again_keeps_what_was_found(stack: Stack) -> None:
    query = "select count(*), count(distinct run_uuid) from metrics"
    buckets = ("afdcd", "mlflow")
    before = stack.sql("mlflow", query), *map(stack.objects, buckets)
    assert not before[0].startswith("0|") and all(before)
    stack.down()
    stack.up()
    assert (stack.sql("mlflow", query), *map(stack.objects, buckets)) == before
