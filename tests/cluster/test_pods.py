"""The pods of cluster/jobs/tune.rayjob.yaml, played by podman: a search is submitted, two workers train."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.manifests import build
from tests.cluster.played import Played
from tests.cluster.stack import Stack
from tests.cluster.test_image import IMAGE, SHORT

JOINED = "import ray; ray.init('auto'); print(sum(node['Alive'] for node in ray.nodes()))"
NODES = """
import json
from pyarrow import fs
store, path = fs.FileSystem.from_uri("s3://afdcd/runs")
found = [i.path for i in store.get_file_info(fs.FileSelector(path, recursive=True))]
mine = [p for p in found if "/played/" in p and p.endswith("/pulse.json")]
pulses = [json.loads(store.open_input_file(p).read()) for p in mine]
print(json.dumps(sorted({attempt["node"] for pulse in pulses for attempt in pulse["attempts"]})))
"""

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600), pytest.mark.xdist_group("ray")]


@pytest.fixture
def played(stack: Stack) -> Iterator[Played]:
    """The tune job's pods, in place of the Ray services of compose; its secrets are those of the stack."""
    value = stack.values
    known = {
        "ray-auth": {"auth_token": value["RAY_AUTH_TOKEN"]},
        "afdcd-postgres": {"afdcd-password": value["AFDCD_DB_PASSWORD"]},
        "afdcd-mlflow": {"admin-password": value["MLFLOW_ADMIN_PASSWORD"]},
        "afdcd-store": {
            "access-key": value["STORE_ACCESS_KEY"],
            "secret-key": value["STORE_SECRET_KEY"],
        },
    }
    pods = Played(stack.made, [*build("overlays/cpu-dev"), *build("jobs")], "afdcd-tune", IMAGE)
    try:
        pods.start("afdcd_default", 2, known)
        yield pods
    finally:
        pods.stop()


def test_the_entrypoint_of_the_job_is_submitted_and_two_workers_train(
    stack: Stack, played: Played
) -> None:
    python = ("exec", played.container, "python", "-c")

    def joined() -> str:
        return stack.made.podman(*python, JOINED, check=False).stdout.strip()

    # As the operator does, and without its autoscaler, which a study would wait for.
    stack.until(lambda: joined() == "3", "both workers have joined")
    words = played.job["spec"]["entrypoint"].split()
    assert words[:3] == ["python", "-m", "afdcd.tune"]
    space = ("study.name=played", "study.trials=4", "study.max_concurrent=2", *SHORT[2:])
    submit = (
        "ray",
        "job",
        "submit",
        "--address",
        "http://127.0.0.1:8265",
        "--",
        *words[:3],
        SHORT[0],
        *space,
    )
    told = stack.made.podman("exec", played.container, *submit).stdout
    assert "models:/played@candidate" in told, told[-4000:]
    assert len(json.loads(stack.made.podman(*python, NODES).stdout)) == 2
