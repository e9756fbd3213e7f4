"""The pods that a cluster would make of some objects: those of Kubernetes' own workloads, and those that the
operator makes of RayClusters and RayJobs, with what it adds (ray-project/kuberay@feeaf72, common/pod.go)."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.cluster.kuberay import ray_spec
from tests.cluster.manifests import Document, of_kind, title

WORKLOADS = ("Deployment", "StatefulSet", "Job")


@dataclass(frozen=True)
class Pod:
    """One kind of pod.

    Attributes:
        name: of what makes it, for messages.
        role: head, worker or submitter of Ray; empty for others.
        group: the head or worker group it comes from.
    """

    name: str
    labels: dict[str, str]
    spec: dict[str, Any]
    role: str = ""
    group: dict[str, Any] | None = None

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Those that start first, too."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def pods_of(documents: list[Document]) -> list[Pod]:
    return [*_ordinary(documents), *_of_ray(documents)]


def _ordinary(documents: list[Document]) -> Iterator[Pod]:
    for document in of_kind(documents, *WORKLOADS):
        template = document["spec"]["template"]
        spec = copy.deepcopy(template["spec"])
        for claim in document["spec"].get("volumeClaimTemplates", ()):
            volume = {"name": claim["metadata"]["name"], "claimTemplate": claim["spec"]}
            spec.setdefault("volumes", []).append(volume)
        yield Pod(title(document), template["metadata"].get("labels", {}), spec)


def _of_ray(documents: list[Document]) -> Iterator[Pod]:
    for document in of_kind(documents, "RayCluster", "RayJob"):
        cluster, name = ray_spec(document), document["metadata"]["name"]
        if cluster is None:
            continue
        yield _head(title(document), name, cluster)
        for group in cluster.get("workerGroupSpecs", ()):
            yield _worker(title(document), name, cluster, group)
        if submitter := document["spec"].get("submitterPodTemplate"):
            labels = submitter.get("metadata", {}).get("labels", {})
            spec = copy.deepcopy(submitter["spec"])
            _authenticate(cluster, spec["containers"][0])
            yield Pod(f"{title(document)} submitter", labels, spec, "submitter")


def _head(of: str, name: str, cluster: dict[str, Any]) -> Pod:
    group = cluster["headGroupSpec"]
    labels, spec = _labelled(group, name, "head", "headgroup")
    container = spec["containers"][0]
    container.setdefault("ports", [])
    if cluster.get("enableInTreeAutoscaling"):
        spec["containers"].append(_autoscaler(cluster, container["image"]))
    if options := cluster.get("gcsFaultToleranceOptions"):
        address = {"name": "RAY_REDIS_ADDRESS", "value": options["redisAddress"]}
        password = {"name": "REDIS_PASSWORD", **options.get("redisPassword", {})}
        container.setdefault("env", []).extend([address, password])
    for one in spec["containers"]:
        _authenticate(cluster, one)
    return Pod(f"{of} head", labels, spec, "head", group)


def _worker(of: str, name: str, cluster: dict[str, Any], group: dict[str, Any]) -> Pod:
    labels, spec = _labelled(group, name, "worker", group["groupName"])
    container = spec["containers"][0]
    container.setdefault("ports", []).append({"name": "metrics", "containerPort": 8080})
    waiting = {k: v for k, v in container.items() if k not in ("envFrom", "ports", "resources")}
    few = {"cpu": "200m", "memory": "256Mi"}
    waiting |= {"name": "wait-gcs-ready", "resources": {"limits": few, "requests": few}}
    spec.setdefault("initContainers", []).append(copy.deepcopy(waiting))
    for one in (container, spec["initContainers"][-1]):
        _authenticate(cluster, one)
    return Pod(f"{of} group {group['groupName']}", labels, spec, "worker", group)


def _labelled(
    group: dict[str, Any], cluster: str, role: str, name: str
) -> tuple[dict[str, str], dict[str, Any]]:
    template = copy.deepcopy(group["template"])
    fixed = {"ray.io/cluster": cluster, "ray.io/node-type": role, "ray.io/group": name}
    first = {"ray.io/is-ray-node": "yes", "app.kubernetes.io/name": "kuberay"}
    return {**first, **template.get("metadata", {}).get("labels", {}), **fixed}, template["spec"]


def _autoscaler(cluster: dict[str, Any], image: str) -> dict[str, Any]:
    options = copy.deepcopy(cluster.get("autoscalerOptions", {}))
    kept = ("resources", "env", "envFrom", "volumeMounts", "securityContext")
    chosen = {name: options[name] for name in kept if name in options}
    return {"name": "autoscaler", "image": options.get("image", image), **chosen}


def _authenticate(cluster: dict[str, Any], container: dict[str, Any]) -> None:
    options, environment = cluster.get("authOptions", {}), container.setdefault("env", [])
    known = {variable["name"] for variable in environment}
    if options.get("mode") != "token":
        return
    if "RAY_AUTH_MODE" not in known:
        environment.append({"name": "RAY_AUTH_MODE", "value": "token", "by": "the operator"})
    if "RAY_AUTH_TOKEN" not in known:
        secret = {"name": options.get("secretName", "made by the operator"), "key": "auth_token"}
        environment.append({"name": "RAY_AUTH_TOKEN", "valueFrom": {"secretKeyRef": secret}})


def environment_of(container: dict[str, Any], documents: list[Document]) -> dict[str, str]:
    """The variables that a container is given in ConfigMaps and as words; Secrets are not looked into."""
    maps = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= maps.get(source.get("configMapRef", {}).get("name"), {})
    for variable in container.get("env", ()):
        reference = variable.get("valueFrom", {}).get("configMapKeyRef")
        value = maps.get(reference["name"], {}).get(reference["key"]) if reference else None
        value = variable.get("value", value)
        if value is not None and "by" not in variable:
            found[variable["name"]] = value
    return found
