"""What the KubeRay operator (1.7) refuses although its definitions allow it.

Checked by hand against ray-operator/controllers/ray/utils/validation.go of ray-project/kuberay@feeaf72: each
rule that can concern RayClusters and RayJobs. Fields behind alpha gates count as refused: no gate is on here.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.cluster.manifests import Document, of_kind

GATED = ("networkPolicy", "tlsOptions", "historyServerOptions")
LONGEST = {"RayCluster": 53, "RayJob": 47}
OWN_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")
V2 = "RAY_enable_autoscaler_v2"


def refused(documents: list[Document]) -> Iterator[str]:
    """Every reason for which the operator would not act on an object."""
    for document in of_kind(documents, "RayCluster", "RayJob"):
        found = [*_name(document), *(_job(document) if document["kind"] == "RayJob" else ())]
        if cluster := ray_spec(document):
            found += _cluster(cluster, document["metadata"].get("annotations", {}))
        yield from (f"{document['kind']}/{document['metadata']['name']}: {one}" for one in found)


def ray_spec(document: Document) -> dict[str, Any] | None:
    """The cluster that an object describes; None for a RayJob that uses one that is there."""
    spec = document["spec"]
    return spec if document["kind"] == "RayCluster" else spec.get("rayClusterSpec")


def _name(document: Document) -> Iterator[str]:
    name, most = document["metadata"]["name"], LONGEST[document["kind"]]
    if len(name) > most:
        yield f"its name has more than {most} characters"
    if not re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        yield "its name is no DNS-1035 label"


def _cluster(spec: dict[str, Any], annotations: dict[str, str]) -> Iterator[str]:
    groups = [("head", spec["headGroupSpec"])]
    groups += [(g["groupName"], g) for g in spec.get("workerGroupSpecs", ())]
    for name, group in groups:
        yield from (f"group {name}: {one}" for one in _group(group))
    for name, group in groups[1:]:
        yield from (f"group {name}: {one}" for one in _workers(group, spec))
    yield from (f"{field} needs a feature gate" for field in GATED if spec.get(field))
    yield from _autoscaler(spec)
    yield from _authentication(spec)
    if groups[0][1]["template"]["spec"].get("containers"):
        yield from _memory_of_the_head(spec, annotations)


def _group(group: dict[str, Any]) -> Iterator[str]:
    parameters = group.get("rayStartParams", {})
    if not group["template"]["spec"].get("containers"):
        yield "has no container"
    if group.get("resources") and any(parameters.get(name) for name in OWN_RESOURCES):
        yield "has resources both in rayStartParams and of its own"
    if "labels" in parameters:
        yield "has labels in rayStartParams"
    for key, value in group.get("labels", {}).items():
        if not re.fullmatch(r"([A-Za-z0-9]([-\w.]*[A-Za-z0-9])?)?", str(value)) or len(value) > 63:
            yield f"label {key} has the value {value!r}"


def _workers(group: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    least, most = group.get("minReplicas"), group.get("maxReplicas")
    scales = spec.get("enableInTreeAutoscaling")
    if not scales and (least is None or most is None):
        yield "needs minReplicas and maxReplicas, for nothing scales it"
    if (least or 0) < 0 or (most or 0) < 0:
        yield "has fewer than 0 replicas"
    if least is not None and most is not None and least > most:
        yield "has a minReplicas above its maxReplicas"
    if group.get("suspend"):
        yield "suspend is the operator's own"
    if group.get("idleTimeoutSeconds", 0) < 0:
        yield "idleTimeoutSeconds is below 0"
    if "idleTimeoutSeconds" in group and not _is_v2(spec):
        yield "idleTimeoutSeconds needs autoscaler v2"
    if group.get("priority") and (not _is_v2(spec) or _version(spec) < (2, 56)):
        yield "priority needs autoscaler v2 and Ray 2.56"


def _autoscaler(spec: dict[str, Any]) -> Iterator[str]:
    options, head = spec.get("autoscalerOptions", {}), spec["headGroupSpec"]
    if options.get("idleTimeoutSeconds", 0) < 0:
        yield "autoscalerOptions.idleTimeoutSeconds is below 0"
    if "KUBERAY_GEN_AUTOSCALER_START_CMD" in _names(options.get("env", ())):
        yield "autoscalerOptions.env has KUBERAY_GEN_AUTOSCALER_START_CMD"
    said = V2 in _names(_head_environment(spec))
    if said and (options.get("version") or not spec.get("enableInTreeAutoscaling")):
        yield f"{V2} is set beside autoscalerOptions.version, or without an autoscaler"
    if _is_v2(spec):
        for group in [head, *spec.get("workerGroupSpecs", ())]:
            if group["template"]["spec"].get("restartPolicy", "Never") != "Never":
                yield "autoscaler v2 needs restartPolicy Never"


def _authentication(spec: dict[str, Any]) -> Iterator[str]:
    options = spec.get("authOptions", {})
    if options.get("mode") == "token" and _version(spec) < (2, 52):
        yield "token authentication needs rayVersion, 2.52 or later"
    if options.get("enableK8sTokenAuth"):
        if options.get("mode") != "token" or options.get("secretName"):
            yield "enableK8sTokenAuth needs mode token, and no secretName"
        if _version(spec) < (2, 55):
            yield "enableK8sTokenAuth needs Ray 2.55"


def _memory_of_the_head(spec: dict[str, Any], annotations: dict[str, str]) -> Iterator[str]:
    options, names = spec.get("gcsFaultToleranceOptions"), _names(_head_environment(spec))
    parameters = spec["headGroupSpec"].get("rayStartParams", {})
    if "redis-username" in parameters or "REDIS_USERNAME" in names:
        yield "the user of Redis belongs into gcsFaultToleranceOptions"
    if options is None:
        if "RAY_REDIS_ADDRESS" in names and annotations.get("ray.io/ft-enabled") != "true":
            yield "RAY_REDIS_ADDRESS is set without gcsFaultToleranceOptions"
        return
    elsewhere = {"REDIS_PASSWORD", "RAY_REDIS_ADDRESS"} & names
    if "redis-password" in parameters or elsewhere:
        yield "address and password of Redis belong into gcsFaultToleranceOptions alone"
    if {"ray.io/ft-enabled", "ray.io/external-storage-namespace"} & set(annotations):
        yield "an annotation says what gcsFaultToleranceOptions says"
    if options.get("backend", "redis") != "redis":
        yield "backend rocksdb needs a feature gate"
    elif options.get("storage"):
        yield "gcsFaultToleranceOptions.storage is for rocksdb"


def _job(document: Document) -> Iterator[str]:
    spec = document["spec"]
    mode, chosen = spec.get("submissionMode", "K8sJobMode"), spec.get("clusterSelector")
    retries = spec.get("backoffLimit", 0)
    yield from _ending(spec)
    if bool(chosen) == bool(spec.get("rayClusterSpec")):
        yield "needs rayClusterSpec or clusterSelector"
    if chosen and (retries > 0 or mode == "SidecarMode" or spec.get("suspend")):
        yield "clusterSelector allows no retry, no SidecarMode and no suspend"
    if mode == "InteractiveMode" and retries > 0:
        yield "InteractiveMode allows no retry"
    if mode == "SidecarMode" and (spec.get("submitterPodTemplate") or spec.get("submitterConfig")):
        yield "SidecarMode takes no submitterPodTemplate and no submitterConfig"
    if spec.get("rayClusterSpec", {}).get("authOptions", {}).get("enableK8sTokenAuth"):
        yield "enableK8sTokenAuth is not for a RayJob"
    if spec.get("rayClusterSpec", {}).get("upgradeStrategy"):
        yield "upgradeStrategy is not for a RayJob"
    for field in ("activeDeadlineSeconds", "preRunningDeadlineSeconds"):
        if spec.get(field, 1) <= 0:
            yield f"{field} is not above 0"
    if retries < 0:
        yield "backoffLimit is below 0"
    try:
        yaml.safe_load(spec.get("runtimeEnvYAML", ""))
    except yaml.YAMLError:
        yield "runtimeEnvYAML is no YAML"


def _ending(spec: dict[str, Any]) -> Iterator[str]:
    ends, strategy = spec.get("shutdownAfterJobFinishes"), spec.get("deletionStrategy")
    if spec.get("suspend") and not ends:
        yield "suspend needs shutdownAfterJobFinishes"
    if spec.get("ttlSecondsAfterFinished", 0) < 0:
        yield "ttlSecondsAfterFinished is below 0"
    if spec.get("ttlSecondsAfterFinished") and not ends:
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
    if strategy is not None:
        legacy, ruled = {"onSuccess", "onFailure"} & set(strategy), strategy.get("deletionRules")
        if bool(legacy) == bool(ruled) or len(legacy) == 1 or (ruled and ends):
            yield "deletionStrategy needs either its rules alone, or both onSuccess and onFailure"


def _head_environment(spec: dict[str, Any]) -> list[dict[str, Any]]:
    containers = spec["headGroupSpec"]["template"]["spec"].get("containers") or [{}]
    return list(containers[0].get("env", ()))


def _names(environment: Any) -> set[str]:
    return {variable["name"] for variable in environment}


def _is_v2(spec: dict[str, Any]) -> bool:
    version = spec.get("autoscalerOptions", {}).get("version", "v2")
    return bool(spec.get("enableInTreeAutoscaling")) and version == "v2"


def _version(spec: dict[str, Any]) -> tuple[int, ...]:
    numbers = re.findall(r"\d+", spec.get("rayVersion", "0"))
    return tuple(map(int, numbers[:2]))
