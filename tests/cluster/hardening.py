"""What every pod must be: confined, sized, and for Ray's pods guarded and quick to notice a cut."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tests.cluster.manifests import Document, of_kind, title
from tests.cluster.pods import Pod, environment_of, pods_of

UNITS = {"m": Decimal("0.001"), "": Decimal(1), "k": Decimal(10**3), "M": Decimal(10**6)}
UNITS |= {"Ki": Decimal(2**10), "Mi": Decimal(2**20), "Gi": Decimal(2**30), "Ti": Decimal(2**40)}
KEEPALIVE = {
    "RAY_grpc_client_keepalive_time_ms": 10_000,
    "RAY_grpc_client_keepalive_timeout_ms": 5_000,
}
# Every port, and what asks who comes.
GUARDED = {
    6379: "token, or Redis' password",
    8265: "token",
    10001: "token",
    5432: "password (SCRAM)",
    5000: "user and password",
    8333: "access key",
}
METRICS = {8080, 44217, 44227}  # can be read by whoever the policies let through: Prometheus
HOST = ("hostNetwork", "hostPID", "hostIPC")


def amount(quantity: str | int) -> Decimal:
    """A quantity of Kubernetes as a number."""
    number, unit = re.fullmatch(r"([\d.]+)([a-zA-Z]*)", str(quantity)).groups()  # type: ignore[union-attr]
    return Decimal(number) * UNITS[unit]


def unconfined(documents: list[Document]) -> Iterator[str]:
    """What pod security of level `restricted` refuses, and what is asked for beyond it."""
    for pod in pods_of(documents):
        yield from (f"{pod.name}: {one}" for one in _pod(pod))
        for container in pod.containers:
            for one in _container(container):
                yield f"{pod.name} container {container['name']}: {one}"


def _pod(pod: Pod) -> Iterator[str]:
    context = pod.spec.get("securityContext", {})
    if context.get("runAsNonRoot") is not True or not context.get("runAsUser"):
        yield "needs runAsNonRoot and a numeric runAsUser above 0"
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "needs the seccomp profile RuntimeDefault"
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "gets a token of the Kubernetes API"
    if "terminationGracePeriodSeconds" not in pod.spec:
        yield "does not say how long it may take to end"
    yield from (f"uses the node's: {field}" for field in HOST if pod.spec.get(field))
    for volume in pod.spec.get("volumes", ()):
        if "hostPath" in volume:
            yield f"volume {volume['name']} is a folder of the node"
        if "emptyDir" in volume and "sizeLimit" not in volume["emptyDir"]:
            yield f"volume {volume['name']} has no sizeLimit"


def _container(container: dict[str, Any]) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may become more than it is"
    if context.get("capabilities") != {"drop": ["ALL"]}:
        yield "keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "can write to its image"
    if context.get("runAsUser") == 0 or context.get("runAsNonRoot") is False:
        yield "is root"
    yield from ("opens a port of the node" for p in container.get("ports", ()) if "hostPort" in p)


def unsized(documents: list[Document]) -> Iterator[str]:
    """Containers without requests and limits, and memory volumes that do not fit into them."""
    for pod in pods_of(documents):
        for container in pod.containers:
            for one in _sizes(container, pod):
                yield f"{pod.name} container {container['name']}: {one}"
        if pod.role in ("head", "worker"):
            yield from (f"{pod.name}: {one}" for one in _object_store(pod))


def _sizes(container: dict[str, Any], pod: Pod) -> Iterator[str]:
    resources = container.get("resources", {})
    asked, most = resources.get("requests", {}), resources.get("limits", {})
    for name in ("cpu", "memory"):
        if name not in asked or name not in most:
            yield f"has no request or no limit of {name}"
            return
    if amount(asked["memory"]) != amount(most["memory"]) or amount(asked["cpu"]) > amount(
        most["cpu"]
    ):
        yield "memory requested and allowed differ, or more CPU is requested than allowed"
    if container["name"] == "wait-gcs-ready":
        return  # the operator's; it writes nothing
    memory = sum((amount(v) for v in _memory_volumes(container, pod).values()), Decimal(0))
    if memory > amount(most["memory"]):
        yield "its memory volumes are larger than its memory"


def _memory_volumes(container: dict[str, Any], pod: Pod) -> dict[str, str]:
    volumes = {v["name"]: v.get("emptyDir", {}) for v in pod.spec.get("volumes", ())}
    mounts = {m["mountPath"]: volumes.get(m["name"], {}) for m in container.get("volumeMounts", ())}
    return {p: v.get("sizeLimit", "0") for p, v in mounts.items() if v.get("medium") == "Memory"}


def _object_store(pod: Pod) -> Iterator[str]:
    container, group = pod.spec["containers"][0], pod.group or {}
    shared = _memory_volumes(container, pod).get("/dev/shm")
    if shared is None:
        yield "/dev/shm is no memory volume"
        return
    if amount(group.get("rayStartParams", {}).get("object-store-memory", "1Ti")) >= amount(shared):
        yield "object-store-memory does not fit into /dev/shm"
    written = {m["mountPath"] for m in container.get("volumeMounts", ()) if not m.get("readOnly")}
    if missing := {"/tmp", "/home/afdcd"} - written:
        yield f"cannot write to {', '.join(sorted(missing))}"


def unguarded(documents: list[Document]) -> Iterator[str]:
    """Ray processes without token, mode or keepalive; ports of which nobody asks who comes."""
    for pod in pods_of(documents):
        if pod.role:
            for container in pod.spec["containers"]:
                for one in _token(container, documents):
                    yield f"{pod.name} container {container['name']}: {one}"
        for container in pod.containers:
            for port in container.get("ports", ()):
                if port["containerPort"] not in GUARDED.keys() | METRICS:
                    yield f"{pod.name}: port {port['containerPort']} has no guard"
    for document in of_kind(documents, "RayCluster", "RayJob"):
        spec = document["spec"].get("rayClusterSpec", document["spec"])
        if spec.get("authOptions") != {"mode": "token", "secretName": "ray-auth"}:
            yield f"{title(document)}: authOptions must be mode token with secretName ray-auth"
    yield from _open_to_the_world(documents)


def _token(container: dict[str, Any], documents: list[Document]) -> Iterator[str]:
    said = environment_of(container, documents)
    if said.get("RAY_AUTH_MODE") != "token":
        yield "RAY_AUTH_MODE does not say token"
    for name, most in KEEPALIVE.items():
        if not 0 < int(said.get(name, 0)) <= most:
            yield f"{name} is missing, or above {most}"
    given = {v["name"]: v.get("valueFrom", {}) for v in container.get("env", ())}
    if given.get("RAY_AUTH_TOKEN", {}).get("secretKeyRef", {}).get("name") != "ray-auth":
        yield "RAY_AUTH_TOKEN does not come from the Secret ray-auth"


def _open_to_the_world(documents: list[Document]) -> Iterator[str]:
    for document in documents:
        kind, spec = document["kind"], document.get("spec", {})
        if kind in ("Ingress", "HTTPRoute", "Gateway") or "enableIngress" in str(spec):
            yield f"{title(document)} opens something to the world"
        if kind == "Service" and spec.get("type", "ClusterIP") != "ClusterIP":
            yield f"{title(document)} opens something to the world"
        if kind in ("RayCluster", "RayJob") and "serviceType" in str(spec):
            yield f"{title(document)} opens something to the world"


def kubernetes_tokens(documents: list[Document]) -> Iterator[str]:
    """Containers that can speak to the Kubernetes API, besides the autoscaler."""
    for pod in pods_of(documents):
        tokens = {v["name"] for v in pod.spec.get("volumes", ()) if "serviceAccountToken" in str(v)}
        for container in pod.containers:
            mounted = {m["name"] for m in container.get("volumeMounts", ())}
            if mounted & tokens and container["name"] != "autoscaler":
                yield f"{pod.name} container {container['name']}: has a token of the Kubernetes API"
