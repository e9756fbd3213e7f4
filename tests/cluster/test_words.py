"""Versions agree, images are named, and no password stands anywhere in cluster/ or docker/."""

import re
from pathlib import Path
from typing import Any

import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import transient_settings

from tests.cluster.manifests import (
    BUILDS,
    CLUSTER,
    INSTALLATIONS,
    ROOT,
    Rule,
    broken,
    build,
    installation,
)
from tests.cluster.words import VERIFIED_DIGESTS, disagreeing, literal_secrets

HEAD = "spec/headGroupSpec/template/spec/containers/0"
POSTGRES = ("StatefulSet", "postgres", "spec/template/spec/containers/0/")
TREES = [folder for folder in (CLUSTER, ROOT / "docker") if folder.is_dir()]
FILES = sorted(p for folder in TREES for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("rule", [disagreeing])
@pytest.mark.parametrize("name", INSTALLATIONS)
def test_versions_agree(name: str, rule: Rule) -> None:
    assert list(rule(installation(name))) == []


@pytest.mark.parametrize("name", BUILDS)
def test_no_manifest_holds_a_secret(name: str) -> None:
    assert list(literal_secrets(build(name))) == []


@pytest.mark.parametrize(
    ("where", "path", "value", "said"),
    [
        (("RayCluster", "afdcd", "spec/"), "rayVersion", "2.59.0", "rayVersion is not that of"),
        (
            ("RayJob", "afdcd-tune", "spec/rayClusterSpec/"),
            "rayVersion",
            "2.9",
            "rayVersion is not",
        ),
        (POSTGRES, "image", "postgres:latest", "has no tag that stays"),
        (POSTGRES, "image", "postgres", "has no tag that stays"),
        (POSTGRES, "image", f"postgres@sha256:{'0' * 64}", "a digest that nobody has verified"),
        (POSTGRES, "image", "quay.io/minio/minio:1", "is unmaintained"),
        (
            ("RayCluster", "afdcd", f"{HEAD}/"),
            "image",
            "x/afdcd:9",
            "image afdcd has several versions",
        ),
    ],
)
def test_a_version_that_disagrees_is_found(
    where: tuple[str, str, str], path: str, value: Any, said: str
) -> None:
    kind, name, root = where
    assert said in broken(disagreeing, installation("gpu"), (kind, name, root + path, value))


@pytest.mark.parametrize(
    ("where", "path", "value", "said"),
    [
        (POSTGRES, "env/2", {"name": "POSTGRES_PASSWORD", "value": "x"}, "stands in the manifest"),
        (POSTGRES, "args", ["-c", "psql postgresql://a:b@postgres/x"], "URL with a password"),
        (POSTGRES, "args", ["requirepass abcdef"], "has a password in it"),
        (
            ("ConfigMap", "mlflow-auth", "data/"),
            "auth.ini",
            "admin_password = hunter2",
            "a password",
        ),
        (("ConfigMap", "afdcd-environment", "data/"), "PGPASSWORD", "x", "belongs into a Secret"),
        (("ConfigMap", "afdcd-environment", ""), "kind", "Secret", "is in the repository"),
    ],
)
def test_a_secret_in_a_manifest_is_found(
    where: tuple[str, str, str], path: str, value: Any, said: str
) -> None:
    kind, name, root = where
    assert said in broken(literal_secrets, build("overlays/gpu"), (kind, name, root + path, value))


def test_no_digest_is_invented() -> None:
    for file in FILES:
        if file.suffix == ".lock":
            continue  # pip compares these with what it fetches
        found = set(re.findall(r"sha256:[0-9a-f]{64}", file.read_text(errors="replace")))
        assert found <= VERIFIED_DIGESTS, file


def scanned(file: Path) -> list[str]:
    """What detect-secrets finds in a file: keys and tokens by their forms, and by how random they look."""
    plugins = ["AWSKeyDetector", "BasicAuthDetector", "GitHubTokenDetector", "GitLabTokenDetector"]
    plugins += ["JwtTokenDetector", "KeywordDetector", "OpenAIDetector", "PrivateKeyDetector"]
    plugins += ["PypiTokenDetector", "SlackDetector", "StripeDetector", "AzureStorageKeyDetector"]
    random = [
        {"name": "Base64HighEntropyString", "limit": 4.5},
        {"name": "HexHighEntropyString", "limit": 3},
    ]
    settings = {
        "plugins_used": [*({"name": name} for name in plugins), *random],
        "filters_used": [
            {"path": "detect_secrets.filters.heuristic.is_templated_secret"},
            {"path": "detect_secrets.filters.heuristic.is_potential_uuid"},
            {"path": "tests.cluster.test_words.is_a_reference"},
        ],
    }
    with transient_settings(settings):
        return [f"{file}:{s.line_number}: {s.type}" for s in scan_file(str(file))]


def is_a_reference(line: str) -> bool:
    """Words about secrets that are none: names of Secrets and keys, variables, paths of configuration."""
    return bool(re.search(r"secretKeyRef|secretName: \"?[a-z-]+\"?( |$)|\$\{?\w+|\$\(|^\s*#", line))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_scanner_finds_nothing(file: Path) -> None:
    assert scanned(file) == []


@pytest.mark.parametrize(
    "line",
    [
        'password: "correct-horse-battery"',
        "AWS_ACCESS_KEY_ID: AKIAIOSFODNN7EXAMPLA",
        'token: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
        "url: postgresql://afdcd:hunter22@postgres:5432/afdcd",
        "-----BEGIN RSA PRIVATE KEY-----",
        "flask_secret_key = 'kd83jf03kfl2mfk4lsk3'",
    ],
)
def test_the_scanner_finds_a_secret(line: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(f"{line}\n")
    assert scanned(file) != []
