"""Versions that must agree, images that must be named, and values that must not stand in a file."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from tests.cluster.kuberay import ray_spec
from tests.cluster.manifests import ROOT, Document, of_kind, title
from tests.cluster.pods import pods_of

# Digests that somebody has looked up in a registry and written down here with the date. None so far: an
# invented one looks as good as a real one until it is pulled.
VERIFIED_DIGESTS: set[str] = set()
OURS = ("afdcd", "afdcd-mlflow")
# `password = word`, `token: "word"`; not `PASSWORD :'name'`, which is a variable of psql.
_ASSIGNED = re.compile(
    r"(?i)(password|secret|token)[ \t]*(=[ \t]*|:[ \t]+|:(?=\w))[\w\"'][^\s$]{3,}|requirepass \w"
)
SECRETIVE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|ACCESS_KEY|requirepass", re.IGNORECASE)


def locked(package: str) -> str:
    """The version of a package in requirements.lock."""
    found = re.search(rf"^{package}==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert found, package
    return found.group(1)


def disagreeing(documents: list[Document]) -> Iterator[str]:
    """Versions that differ from the lock, or from one object to the next."""
    for document in of_kind(documents, "RayCluster", "RayJob"):
        if (spec := ray_spec(document)) and spec.get("rayVersion") != locked("ray"):
            yield f"{title(document)}: rayVersion is not that of requirements.lock, {locked('ray')}"
    ours: dict[str, set[str]] = {name: set() for name in OURS}
    for pod in pods_of(documents):
        for container in pod.containers:
            image = container.get("image", "")
            yield from (f"{pod.name}: image {image!r} {one}" for one in _image(image))
            name, _, tag = image.rpartition("/")[2].partition(":")
            ours.get(name, set()).add(f"{image.rpartition('/')[0]} {tag}")
    yield from (
        f"image {name} has several versions" for name, tags in ours.items() if len(tags) > 1
    )


def _image(image: str) -> Iterator[str]:
    name, at, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if at and digest not in VERIFIED_DIGESTS:
        yield "has a digest that nobody has verified"
    if not at and tag in ("", "latest", "nightly"):
        yield "has no tag that stays"
    if "minio" in name:
        yield "is unmaintained"


def literal_secrets(documents: list[Document]) -> Iterator[str]:
    """Passwords, keys and tokens that stand in a manifest instead of in a Secret that is made elsewhere."""
    for document in of_kind(documents, "Secret"):
        yield f"{title(document)}: is in the repository"
    for document in of_kind(documents, "ConfigMap"):
        for name, value in document.get("data", {}).items():
            if SECRETIVE.search(name):
                yield f"{title(document)}: {name} belongs into a Secret"
            yield from (f"{title(document)} {name}: {one}" for one in _in_text(value))
    for pod in pods_of(documents):
        for container in pod.containers:
            for variable in container.get("env", ()):
                if SECRETIVE.search(variable["name"]) and variable.get("value"):
                    yield f"{pod.name}: {variable['name']} stands in the manifest"
            for word in (*container.get("command", ()), *container.get("args", ())):
                yield from (f"{pod.name}: {one}" for one in _in_text(word))


def _in_text(text: str) -> Iterator[str]:
    for url in re.findall(r"\b\w+://[^\s\"']+", text):
        if urlsplit(url).password:
            yield "has a URL with a password in it"
    if _ASSIGNED.search(text):
        yield "has a password in it"
