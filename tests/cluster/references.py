"""What one object says of another: each name, key, label and port must be that of something that is there."""

from collections.abc import Iterator
from typing import Any

from tests.cluster.manifests import Document, named, of_kind, title
from tests.cluster.pods import Pod, pods_of

GIVEN = {("ConfigMap", "kube-root-ca.crt")}  # Kubernetes puts it into every namespace
CLUSTER_WIDE = (
    "Namespace",
    "PriorityClass",
    "ResourceFlavor",
    "ClusterQueue",
    "WorkloadPriorityClass",
)


def dangling(documents: list[Document]) -> Iterator[str]:
    """References of pods to what does not exist."""
    there = {(d["kind"], d["metadata"]["name"]): d for d in documents}
    for pod in pods_of(documents):
        for kind, name, key, optional in _references(pod):
            found = there.get((kind, name))
            if found is None and (kind, name) not in GIVEN and not optional:
                yield f"{pod.name}: there is no {kind} {name}"
            if found and key and key not in found.get("data", found.get("stringData", {})):
                yield f"{pod.name}: {kind} {name} has no key {key}"
        yield from _inside(pod)


def _references(pod: Pod) -> Iterator[tuple[str, str, str | None, bool]]:
    spec = pod.spec
    yield "ServiceAccount", spec.get("serviceAccountName", "default"), None, False
    yield (
        "PriorityClass",
        spec.get("priorityClassName", "(none)"),
        None,
        pod.name.startswith("Job/"),
    )
    for container in pod.containers:
        for source in container.get("envFrom", ()):
            yield from _one(source.get("configMapRef"), "ConfigMap")
            yield from _one(source.get("secretRef"), "Secret")
        for variable in container.get("env", ()):
            given = variable.get("valueFrom", {})
            yield from _one(given.get("configMapKeyRef"), "ConfigMap")
            yield from _one(given.get("secretKeyRef"), "Secret")
    for volume in spec.get("volumes", ()):
        yield from _one(volume.get("configMap"), "ConfigMap")
        for source in volume.get("projected", {}).get("sources", ()):
            yield from _one(source.get("configMap"), "ConfigMap")
        if secret := volume.get("secret"):
            yield "Secret", secret["secretName"], None, False
        if claim := volume.get("persistentVolumeClaim"):
            yield "PersistentVolumeClaim", claim["claimName"], None, False


def _one(reference: Any, kind: str) -> Iterator[tuple[str, str, str | None, bool]]:
    if reference:
        yield kind, reference["name"], reference.get("key"), reference.get("optional", False)


def _inside(pod: Pod) -> Iterator[str]:
    """Mounts of volumes that the pod has, ports of probes that the container has, each variable once."""
    volumes = [volume["name"] for volume in pod.spec.get("volumes", ())]
    for container in pod.containers:
        place, ports = f"{pod.name} container {container['name']}", container.get("ports", ())
        for mount in container.get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"{place}: mounts {mount['name']}, which is no volume of the pod"
        names = [variable["name"] for variable in container.get("env", ())]
        yield from (
            f"{place}: {name} is there twice" for name in set(names) if names.count(name) > 1
        )
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            for how in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(how, {}).get("port")
                if isinstance(port, str) and port not in {p["name"] for p in ports}:
                    yield f"{place}: {probe} asks port {port}, which it has not"


def matches(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Whether a label selector takes something in; an empty one takes all."""
    wanted = (selector or {}).get("matchLabels", {}).items()
    if any(labels.get(key) != value for key, value in wanted):
        return False
    return all(_holds(rule, labels) for rule in (selector or {}).get("matchExpressions", ()))


def _holds(rule: dict[str, Any], labels: dict[str, str]) -> bool:
    has, values = rule["key"] in labels, rule.get("values", ())
    return {
        "Exists": has,
        "DoesNotExist": not has,
        "In": has and labels[rule["key"]] in values,
        "NotIn": not has or labels[rule["key"]] not in values,
    }[rule["operator"]]


def unmatched(documents: list[Document]) -> Iterator[str]:
    """Selectors that select nothing, and ports that those selected do not have."""
    pods = pods_of(documents)
    for service in of_kind(documents, "Service"):
        chosen = [
            p for p in pods if matches({"matchLabels": service["spec"]["selector"]}, p.labels)
        ]
        ports = {port["targetPort"] for port in service["spec"]["ports"]}
        yield from _chosen(service, chosen, ports)
    for monitor in of_kind(documents, "PodMonitor"):
        chosen = [p for p in pods if matches(monitor["spec"]["selector"], p.labels)]
        ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
        yield from _chosen(monitor, chosen, ports)
    for document in of_kind(documents, "PodDisruptionBudget", "NetworkPolicy"):
        selector = document["spec"].get("selector", document["spec"].get("podSelector"))
        yield from _chosen(document, [p for p in pods if matches(selector, p.labels)], set())
    for document in of_kind(documents, "Deployment", "StatefulSet"):
        if not matches(
            document["spec"]["selector"], document["spec"]["template"]["metadata"]["labels"]
        ):
            yield f"{title(document)}: does not select its own pods"
    for document in of_kind(documents, "StatefulSet"):
        name = document["spec"]["serviceName"]
        if name not in {d["metadata"]["name"] for d in of_kind(documents, "Service")}:
            yield f"{title(document)}: there is no Service {name}"


def _chosen(document: Document, chosen: list[Pod], ports: set[Any]) -> Iterator[str]:
    if not chosen:
        yield f"{title(document)}: selects no pod"
    for pod in chosen:
        known = {
            p["name"] for c in pod.spec["containers"] for p in c.get("ports", ()) if "name" in p
        }
        yield from (f"{title(document)}: {pod.name} has no port {port}" for port in ports - known)


def misplaced(documents: list[Document]) -> Iterator[str]:
    """Objects outside of the namespace, and two of one name."""
    seen = set()
    for document in documents:
        if (
            document["kind"] not in CLUSTER_WIDE
            and document["metadata"].get("namespace") != "afdcd"
        ):
            yield f"{title(document)}: is not in the namespace afdcd"
        if title(document) in seen:
            yield f"{title(document)}: is there twice"
        seen.add(title(document))


def queueless(documents: list[Document]) -> Iterator[str]:
    """Jobs that wait in a queue of Kueue which does not exist, or that it would not take."""
    for job in of_kind(documents, "RayJob"):
        labels = job["metadata"].get("labels", {})
        queue = labels.get("kueue.x-k8s.io/queue-name")
        if queue is None:
            continue
        local = [q for q in of_kind(documents, "LocalQueue") if q["metadata"]["name"] == queue]
        if not local:
            yield f"{title(job)}: there is no LocalQueue {queue}"
            continue
        yield from _queue(job, named(documents, "ClusterQueue", local[0]["spec"]["clusterQueue"]))
        priority = labels.get("kueue.x-k8s.io/priority-class")
        classes = {d["metadata"]["name"] for d in of_kind(documents, "WorkloadPriorityClass")}
        if priority not in classes:
            yield f"{title(job)}: there is no WorkloadPriorityClass {priority}"
        elastic = job["metadata"].get("annotations", {}).get("kueue.x-k8s.io/elastic-job")
        if job["spec"]["rayClusterSpec"].get("enableInTreeAutoscaling") and elastic != "true":
            yield f"{title(job)}: grows, but is not marked as an elastic job"


def _queue(job: Document, queue: Document) -> Iterator[str]:
    covered = {r for g in queue["spec"]["resourceGroups"] for r in g["coveredResources"]}
    asked = {
        resource
        for pod in pods_of([job])
        for container in pod.containers
        for resource in container.get("resources", {}).get("requests", {})
    }
    yield from (f"{title(job)}: the queue has no quota of {one}" for one in asked - covered)
