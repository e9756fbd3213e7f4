"""The scripts in cluster/: what secrets.sh prints, and what starts the database and makes the buckets."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import yaml

from tests.cluster.manifests import CLUSTER, build, named

pytest_plugins = ["tests.stores"]
SECRETS, FIRST_START = CLUSTER / "secrets.sh", CLUSTER / "components/postgres/first-start.sh"
SCRIPTS = (SECRETS, FIRST_START)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_script_is_clean(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck: apt-get install shellcheck")
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def printed(*names: str) -> list[dict[str, Any]]:
    done = subprocess.run([SECRETS, *names], capture_output=True, text=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_no_secret_is_printed_twice() -> None:
    values = [v for d in [*printed(), *printed()] for v in d["stringData"].values()]
    assert len(values) == 18 == len(set(values))
    assert all(len(value) == 64 and value.isalnum() for value in values)


def test_one_secret_is_printed_for_its_rotation() -> None:
    (secret,) = printed("afdcd-store")
    assert secret["metadata"] == {"name": "afdcd-store", "namespace": "afdcd"}
    assert set(secret["stringData"]) == {"access-key", "secret-key"}


def test_a_secret_that_does_not_exist_is_refused() -> None:
    done = subprocess.run([SECRETS, "ray-auht"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "ray-auht: no such secret; there are ray-auth," in done.stderr


def test_the_database_starts_with_two_roles_that_share_nothing(postgres: str) -> None:
    host = parse_qs(urlsplit(postgres).query)["host"][0]

    def psql(user: str, database: str, sql: str, password: str = "") -> Any:
        command = ["psql", "-h", host, "-U", user, "-d", database, "-Atc", sql]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": password, "PGHOST": host},
        )

    made = psql("afdcd", "postgres", "create role postgres superuser login")
    assert made.returncode == 0, made.stderr
    # The server of these tests belongs to a role `afdcd`; the script makes its own.
    renamed = FIRST_START.read_text().replace("make afdcd ", "make afdcd2 ")
    passwords = {"AFDCD_PASSWORD": "it's \\ \"odd", "MLFLOW_PASSWORD": "two"}
    done = subprocess.run(
        ["bash", "-c", renamed],
        env={**os.environ, **passwords, "PGHOST": host},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    try:
        assert psql("afdcd2", "afdcd2", "create table t (); select 1").stdout.endswith("1\n")
        assert psql("mlflow", "mlflow", "create table t (); select 1").stdout.endswith("1\n")
        assert "permission denied for database" in psql("mlflow", "afdcd2", "select 1").stderr
        assert "permission denied for database" in psql("afdcd2", "mlflow", "select 1").stderr
        stored = psql(
            "postgres", "postgres", "select rolpassword from pg_authid where rolname='mlflow'"
        )
        assert stored.stdout.startswith("SCRAM-SHA-256$")
    finally:
        for name in ("afdcd2", "mlflow"):
            psql("postgres", "postgres", f"drop database {name}")
            psql("postgres", "postgres", f"drop role {name}")
        psql("afdcd", "postgres", "drop role postgres")


def test_the_buckets_are_made_and_made_again(store: str) -> None:
    job = named(build("overlays/cpu-dev"), "Job", "store-buckets")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    for _ in range(2):
        subprocess.run([sys.executable, "-c", *container["args"]], check=True)
    found = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).list_buckets()
    assert {"afdcd", "mlflow"} <= {bucket["Name"] for bucket in found["Buckets"]}


@pytest.mark.parametrize(
    ("keys", "status"), [(("afdcd0123", "k+/=_-9"), 0), (('a"b', "k"), 1), (("a", "b\nc"), 1)]
)
def test_the_stores_keys_become_a_file_that_it_reads(
    keys: tuple[str, str], status: int, tmp_path: Path
) -> None:
    pod = named(build("overlays/cpu-dev"), "StatefulSet", "store")["spec"]["template"]["spec"]
    script = pod["initContainers"][0]["args"][0].replace("/keys/", f"{tmp_path}/")
    environment = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), keys, strict=True))
    done = subprocess.run(["sh", "-euc", script], env={**os.environ, **environment})
    assert done.returncode == status
    if status == 0:
        (identity,) = yaml.safe_load((tmp_path / "s3.json").read_text())["identities"]
        assert identity["credentials"] == [{"accessKey": keys[0], "secretKey": keys[1]}]
