"""Files for machines over ssh: Ray's own schema, what each machine's Ray is told, and no secret in them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from afdcd.environment import VARIABLES
from tests.cluster.scripts import ROOT, assert_no_secret, shellcheck, write_program

FOLDER = ROOT / "cluster" / "vm"
FILES = [FOLDER / "ray-up.yaml", FOLDER / "ray-up.aws.yaml"]
TOKEN = "t0ken" * 8
# Of the environment that Ray, MLflow's client and PostgreSQL's read, and afdcd does not.
OTHERS = {
    "RAY_AUTH_TOKEN",
    "AWS_DEFAULT_REGION",
    "PGPASSWORD",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
}
SECRET = {
    "RAY_AUTH_TOKEN",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "PGPASSWORD",
    "MLFLOW_TRACKING_PASSWORD",
}


def _prepared(config: dict[str, Any]) -> dict[str, Any]:
    """As `ray up` reads it: Ray's defaults filled in, and held against Ray's schema."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(config)
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_ray_accepts_the_file(file: Path) -> None:
    prepared = _prepared(yaml.safe_load(file.read_text()))
    assert prepared["cluster_name"] == "afdcd"
    types = prepared["available_node_types"]
    workers = sum(kind["max_workers"] for kind in types.values())
    assert workers == prepared["max_workers"]


def test_ray_refuses_a_key_that_it_does_not_know() -> None:
    config = yaml.safe_load(FILES[0].read_text())
    with pytest.raises(Exception, match="head_start_commands"):
        _prepared(config | {"head_start_commands": []})


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_ray_starts_nowhere_but_through_the_script_that_sets_its_environment(file: Path) -> None:
    config = yaml.safe_load(file.read_text())
    for role in ("head", "worker"):
        (command,) = config[f"{role}_start_ray_commands"]
        assert command.endswith(f"bash ~/afdcd/cluster/vm/node.sh {role}")
    assert config["file_mounts"]["~/.afdcd/environment"] == "~/.afdcd/environment"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A machine's home with afdcd in it, whose `ray` tells how it was called."""
    project = tmp_path / "afdcd"
    shutil.copytree(FOLDER, project / "cluster" / "vm")
    (project / ".venv" / "bin").mkdir(parents=True)
    write_program(project / ".venv" / "bin" / "ray", 'echo "ray $*"; env | grep -E "^(RAY|AWS|PG)"')
    settings = tmp_path / ".afdcd" / "environment"
    settings.parent.mkdir()
    settings.write_text(f"RAY_AUTH_TOKEN={TOKEN}\nPGPASSWORD=p\n")
    settings.chmod(0o600)
    return tmp_path


def _node(home: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", str(home / "afdcd" / "cluster" / "vm" / "node.sh"), *words],
        env={"PATH": os.environ["PATH"], "HOME": str(home)} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "role, environment, line",
    [
        ("head", {}, "ray start --head --port=6379 --dashboard-host=127.0.0.1"),
        ("worker", {"RAY_HEAD_IP": "10.0.0.10"}, "ray start --address=10.0.0.10:6379"),
        (
            "worker",
            {"RAY_HEAD_IP": "10.0.0.10", "BLOCK": "1"},
            "ray start --block --address=10.0.0.10:6379",
        ),
        (
            "head",
            {"AFDCD_HEAD_CPUS": "0"},
            "ray start --num-cpus=0 --head --port=6379 --dashboard-host=127.0.0.1",
        ),
    ],
)
def test_every_machine_is_told_token_and_keepalive(
    home: Path, role: str, environment: dict[str, str], line: str
) -> None:
    done = _node(home, role, **environment)
    assert done.returncode == 0, done.stderr
    call, *told = done.stdout.splitlines()  # `ray stop` before it is quiet
    assert call == line  # with no token in it
    assert set(told) >= {
        "RAY_AUTH_MODE=token",
        f"RAY_AUTH_TOKEN={TOKEN}",
        "RAY_grpc_client_keepalive_time_ms=10000",
        "RAY_grpc_client_keepalive_timeout_ms=5000",
        "RAY_JOB_STOP_WAIT_TIME_S=30",
        "RAY_USAGE_STATS_ENABLED=0",
        "PGPASSWORD=p",
    }


def test_a_start_that_took_too_long_is_tried_again(home: Path) -> None:
    ray = home / "afdcd" / ".venv" / "bin" / "ray"
    write_program(ray, f'[ "$1" = stop ] || (echo "$1" >> {home}/calls; ! [ -f {home}/slow ])')
    (home / "slow").touch()
    assert _node(home, "head").returncode == 1
    assert (home / "calls").read_text() == "start\n" * 3
    (home / "slow").unlink()
    assert _node(home, "head").returncode == 0
    assert (home / "calls").read_text() == "start\n" * 4


def test_a_head_that_ray_up_started_gets_its_autoscaler(home: Path) -> None:
    (home / "ray_bootstrap_config.yaml").touch()
    call = _node(home, "head").stdout.splitlines()[0]
    assert f"--autoscaling-config={home}/ray_bootstrap_config.yaml" in call


@pytest.mark.parametrize(
    "words, change, said",
    [
        (["head"], "chmod 644 environment", "others can read it: chmod 600 "),
        (["head"], "rm environment", "is missing: copy cluster/vm/environment.example there"),
        (["head"], "sed -i s/RAY_AUTH_TOKEN=.*// environment", "RAY_AUTH_TOKEN is empty"),
        (["worker"], "true", "RAY_HEAD_IP is not set"),
        ([], "true", "say head or worker"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    home: Path, words: list[str], change: str, said: str
) -> None:
    subprocess.run(change, shell=True, check=True, cwd=home / ".afdcd")
    done = _node(home, *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert done.stdout == ""


def test_the_example_names_what_is_read_and_leaves_every_secret_empty() -> None:
    lines = (FOLDER / "environment.example").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(given) <= OTHERS | {variable.name for variable in VARIABLES}
    assert {name for name, value in given.items() if not value} == SECRET


def test_shellcheck_finds_nothing() -> None:
    assert shellcheck(FOLDER / "node.sh") == ""


def test_no_secret_is_written_down() -> None:
    for file in FOLDER.iterdir():
        assert_no_secret(file)
