"""What kustomize makes of `cluster/`, and a way to break it: what the other tests here stand on."""

import copy
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CLUSTER = ROOT / "cluster"
OVERLAYS = ("cpu-dev", "gpu", "spot")
Document = dict[str, Any]
Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # five times as fast, where libyaml is

# Components that no overlay takes, put together as their comments say: a site's own kustomization.
WORKERS, SERVICES = "overlays/cpu-dev/workers", ("components/postgres", "components/store")
SITES = {
    "external": ("base", (WORKERS, "components/mlflow", "components/external-services")),
    "redis": ("base", (WORKERS, *SERVICES, "components/mlflow", "components/redis-gcs-ft")),
    "queue": ("jobs", ("components/kueue",)),
}
BUILDS = (*(f"overlays/{name}" for name in OVERLAYS), "jobs", *SITES)
# What stands in one namespace at the same time: an overlay, the jobs, the Secrets.
INSTALLATIONS = {
    **{name: (f"overlays/{name}", "jobs") for name in OVERLAYS},
    "external": ("external", "jobs"),
    "redis": ("redis", "jobs"),
    "queue": ("overlays/gpu", "queue"),
}


def build(name: str) -> list[Document]:
    """The objects of one of `BUILDS`, as kubectl would apply them; the caller may change them."""
    return copy.deepcopy(_built(name))


def installation(name: str) -> list[Document]:
    """All that one of `INSTALLATIONS` holds, with the Secrets that secrets.sh prints."""
    return [*(d for part in INSTALLATIONS[name] for d in build(part)), *secrets()]


@functools.cache
def _built(name: str) -> list[Document]:
    needs_kustomize()
    if name not in SITES:
        return _kustomize(CLUSTER / name)
    resource, components = SITES[name]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        there = [os.path.relpath(CLUSTER / c, place) for c in components]
        last = (
            [] if resource == "jobs" else [os.path.relpath(CLUSTER / "components/ray-pods", place)]
        )
        names = ("afdcd", "afdcd-mlflow") if resource == "base" else ()
        images = [
            {"name": n, "newName": f"registry.example.com/{n}", "newTag": "0.1.0"} for n in names
        ]
        kustomization = {
            "namespace": "afdcd",
            "resources": [os.path.relpath(CLUSTER / resource, place)],
            "components": there + last,
            "images": images,
        }
        (place / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return _kustomize(place)


def _kustomize(folder: Path) -> list[Document]:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.load_all(done.stdout, Loader=Loader) if document]


@functools.cache
def needs_kustomize() -> None:
    """Skips where kubectl is missing, or too old for components and replacements."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl 1.27 or later: https://kubernetes.io/docs/tasks/tools")
    said = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True)
    version = json.loads(said.stdout).get("kustomizeVersion", "v0")
    if int(version.removeprefix("v").partition(".")[0]) < 5:
        pytest.skip(f"needs kubectl with kustomize 5 or later (1.27); this one has {version}")


@functools.cache
def _secrets() -> list[Document]:
    done = subprocess.run([CLUSTER / "secrets.sh"], capture_output=True, text=True, check=True)
    return [document for document in yaml.load_all(done.stdout, Loader=Loader) if document]


def secrets() -> list[Document]:
    """What `cluster/secrets.sh` prints."""
    return copy.deepcopy(_secrets())


def of_kind(documents: list[Document], *kinds: str) -> Iterator[Document]:
    return (d for d in documents if d["kind"] in kinds)


def named(documents: list[Document], kind: str, name: str) -> Document:
    return next(d for d in of_kind(documents, kind) if d["metadata"]["name"] == name)


def title(document: Document) -> str:
    return f"{document['kind']}/{document['metadata']['name']}"


GONE = object()
Change = tuple[str, str, str, Any]  # kind, name, dotted path, new value or GONE


def changed(documents: list[Document], *changes: Change) -> list[Document]:
    """The documents with some values replaced, added or taken away; `a/0/+` appends."""
    documents = copy.deepcopy(documents)
    for kind, name, path, value in changes:
        target: Any = named(documents, kind, name)
        *parents, last = path.split("/")
        for parent in parents:
            inside = isinstance(target, dict)
            target = target.setdefault(parent, {}) if inside else target[int(parent)]
        _put(target, last, value)
    return documents


def _put(target: Any, last: str, value: Any) -> None:
    if last == "+":
        target.append(value)
    elif value is GONE:
        del target[last if isinstance(target, dict) else int(last)]
    elif isinstance(target, dict):
        target[last] = value
    else:
        target[int(last)] = value


Rule = Callable[[list[Document]], Iterator[str]]


def broken(rule: Rule, documents: list[Document], *changes: Change) -> str:
    """What a rule says of a change, in one text. That it says nothing without it is a test of its own."""
    return "\n".join(rule(changed(documents, *changes)))
