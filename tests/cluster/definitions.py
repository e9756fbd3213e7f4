"""Strict validation of manifests without a cluster: more than an API server asks for, because it drops
what it does not know, and a misspelt field is then without effect and without a word.

Kinds of an operator: the schema in its CustomResourceDefinition, with unknown fields refused, lists with keys
checked for duplicates, and its CEL rules run. Kinds of Kubernetes: the schemas of `kubernetes-validate`.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import celpy
import jsonschema
import yaml
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource

from tests.cluster.manifests import Document, Loader
from tests.cluster.shared import shared

# Of Kubernetes: the oldest that is promised, and the newest that is known.
VERSIONS = ("1.30", "1.37")
_NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_METADATA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {"name": _NAME, "namespace": _NAME, "labels": _TEXTS, "annotations": _TEXTS},
}


def definitions() -> Path:
    """The folder with the operators' definitions, which are no part of the repository."""
    return shared("crds")


def errors(documents: list[Document]) -> Iterator[str]:
    """All that is wrong with the fields of some objects."""
    for document in documents:
        name = f"{document['kind']}/{document['metadata']['name']}"
        found = _own(document) if _is_custom(document) else _of_kubernetes(document)
        yield from (f"{name} {error}" for error in found)


def _is_custom(document: Document) -> bool:
    group = document["apiVersion"].partition("/")[0]
    return "." in group and (not group.endswith(".k8s.io") or group.endswith(".x-k8s.io"))


def _of_kubernetes(document: Document) -> Iterator[str]:
    for version in VERSIONS:
        validator = _of_version(version, document["apiVersion"], document["kind"])
        if validator is None:
            yield f"{document['apiVersion']}: Kubernetes {version} has no such kind"
            return
        for error in validator.iter_errors(document):
            yield f"{error.json_path}: {error.message[:200]}"


@functools.cache
def _of_version(version: str, api: str, kind: str) -> Any:
    """None where that version of Kubernetes does not have the kind. The package would read all anew."""
    group, _, api = api.rpartition("/")
    short = "-".join(filter(None, [kind.lower(), group.partition(".")[0], api]))
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    try:
        schema = schema_contents(f"{folder}/{short}.json", version)
    except FileNotFoundError:
        return None
    registry = Resource.from_contents(schema) @ _common(folder, version)
    return jsonschema.Draft202012Validator(schema, registry=registry)


@functools.cache
def _common(folder: str, version: str) -> Any:
    contents = schema_contents(f"{folder}/_definitions.json", version)
    return (Resource.from_contents(contents) @ Registry()).crawl()


def _own(document: Document) -> Iterator[str]:
    raw, validator, deprecated = _schema(definitions(), document["apiVersion"], document["kind"])
    if deprecated:
        yield f"apiVersion: {document['apiVersion']} is deprecated"
    for error in validator.iter_errors(document):
        yield f"{error.json_path}: {error.message[:200]}"
    yield from _rules(raw, document, "$")


@functools.cache
def _schema(folder: Path, version: str, kind: str) -> tuple[Any, Any, bool]:
    group, _, version = version.partition("/")
    file = next(iter(sorted(folder.glob(f"{group}_{kind.lower()}*s.yaml"))))
    spec = yaml.load(file.read_text(), Loader=Loader)["spec"]
    served = next(v for v in spec["versions"] if v["name"] == version and v["served"])
    raw = served["schema"]["openAPIV3Schema"]
    strict = _strict(raw)
    strict["properties"]["metadata"] = _METADATA
    strict["required"] = ["apiVersion", "kind", "metadata", *({"spec"} & set(raw["properties"]))]
    return raw, jsonschema.Draft202012Validator(strict), served.get("deprecated", False)


def _strict(schema: Any) -> Any:
    """A schema of Kubernetes as one of JSON that refuses unknown fields."""
    if not isinstance(schema, dict):
        return schema
    told = {k: v for k, v in schema.items() if k not in ("description", "default", "format")}
    if told.get("x-kubernetes-int-or-string"):
        told.pop("anyOf", None)
        told["type"] = ["integer", "string"]
    if fields := told.get("properties"):
        # The API server fills in defaults before it looks at what is required.
        asked = told.get("required", ())
        told["required"] = [name for name in asked if "default" not in fields.get(name, {})]
        told["properties"] = {name: _strict(field) for name, field in fields.items()}
        if not told.get("x-kubernetes-preserve-unknown-fields"):
            told.setdefault("additionalProperties", False)
    for inner in ("additionalProperties", "items"):
        told[inner] = _strict(told[inner]) if inner in told else True
    if told.pop("nullable", False) and isinstance(told.get("type"), str):
        told["type"] = [told["type"], "null"]
    return told


def _rules(schema: Any, value: Any, path: str) -> Iterator[str]:
    """CEL rules and the keys of lists, from the top down."""
    for rule in schema.get("x-kubernetes-validations", ()):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{path}: {rule.get('message', rule['rule'])}"
    if isinstance(value, dict):
        for name, inner in value.items():
            more = schema.get("additionalProperties")
            known = schema.get("properties", {}).get(name, more if isinstance(more, dict) else {})
            yield from _rules(known, inner, f"{path}.{name}")
    elif isinstance(value, list):
        yield from _duplicates(schema, value, path)
        for place, inner in enumerate(value):
            yield from _rules(schema.get("items", {}), inner, f"{path}[{place}]")


def _duplicates(schema: Any, value: list[Any], path: str) -> Iterator[str]:
    keys = schema.get("x-kubernetes-list-map-keys")
    if schema.get("x-kubernetes-list-type") != "map" or not keys:
        return
    fields, seen = schema["items"].get("properties", {}), set()
    for item in value:
        key = tuple(str(item.get(k, fields.get(k, {}).get("default"))) for k in keys)
        if key in seen:
            yield f"{path}: two items with {', '.join(keys)} = {', '.join(key)}"
        seen.add(key)


def _holds(rule: str, value: Any) -> bool:
    return bool(_program(rule).evaluate({"self": celpy.json_to_cel(value)}))


@functools.cache
def _program(rule: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule))
