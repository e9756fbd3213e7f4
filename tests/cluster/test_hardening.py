"""Every pod is confined, sized and guarded; each of these is broken once and found."""

from typing import Any

import pytest

from tests.cluster.hardening import kubernetes_tokens, unconfined, unguarded, unsized
from tests.cluster.manifests import GONE, INSTALLATIONS, Rule, broken, build, installation

HEAD = ("RayCluster", "afdcd", "spec/headGroupSpec/template/spec/")
WORKER = ("RayCluster", "afdcd", "spec/workerGroupSpecs/0/template/spec/")
SCALER = ("RayCluster", "afdcd", "spec/autoscalerOptions/")
SUBMITTER = ("RayJob", "afdcd-tune", "spec/submitterPodTemplate/spec/")
MLFLOW = ("Deployment", "mlflow", "spec/template/spec/")
POSTGRES = ("StatefulSet", "postgres", "spec/template/spec/")
STORE = ("StatefulSet", "store", "spec/template/spec/")
TOKEN = {"name": "kubernetes-token", "mountPath": "/token"}


@pytest.mark.parametrize("rule", [unconfined, unsized, unguarded, kubernetes_tokens])
@pytest.mark.parametrize("name", INSTALLATIONS)
def test_all_pods_are_confined_sized_and_guarded(name: str, rule: Rule) -> None:
    assert list(rule(installation(name))) == []


@pytest.mark.parametrize(
    ("where", "path", "value", "said"),
    [
        (HEAD, "securityContext/runAsNonRoot", GONE, "needs runAsNonRoot"),
        (POSTGRES, "securityContext/runAsUser", 0, "needs runAsNonRoot and a numeric runAsUser"),
        (STORE, "securityContext/seccompProfile", GONE, "needs the seccomp profile"),
        (MLFLOW, "automountServiceAccountToken", GONE, "gets a token of the Kubernetes API"),
        (WORKER, "terminationGracePeriodSeconds", GONE, "how long it may take to end"),
        (WORKER, "hostNetwork", True, "uses the node's: hostNetwork"),
        (WORKER, "volumes/+", {"name": "x", "hostPath": {"path": "/"}}, "is a folder of the node"),
        (MLFLOW, "volumes/+", {"name": "x", "emptyDir": {}}, "volume x has no sizeLimit"),
        (SCALER, "securityContext", GONE, "container autoscaler: keeps capabilities"),
        (
            SUBMITTER,
            "containers/0/securityContext/allowPrivilegeEscalation",
            True,
            "more than it is",
        ),
        (
            MLFLOW,
            "initContainers/0/securityContext/capabilities/drop",
            ["KILL"],
            "migrate: keeps cap",
        ),
        (
            STORE,
            "containers/0/securityContext/readOnlyRootFilesystem",
            GONE,
            "can write to its image",
        ),
        (HEAD, "containers/0/securityContext/runAsUser", 0, "is root"),
        (HEAD, "containers/0/ports/1/hostPort", 8265, "opens a port of the node"),
    ],
)
def test_a_pod_that_is_not_confined_is_found(
    where: tuple[str, str, str], path: str, value: Any, said: str
) -> None:
    kind, name, root = where
    assert said in broken(unconfined, installation("gpu"), (kind, name, root + path, value))


@pytest.mark.parametrize(
    ("where", "path", "value", "said"),
    [
        (MLFLOW, "containers/0/resources/limits", {"cpu": "1"}, "no limit of memory"),
        (SCALER, "resources", GONE, "container autoscaler: has no request"),
        (SUBMITTER, "containers/0/resources/requests/memory", "1Mi", "and allowed differ"),
        (HEAD, "containers/0/resources/requests/cpu", "64", "more CPU is requested"),
        (WORKER, "volumes/2/emptyDir/sizeLimit", "64Gi", "volumes are larger than its memory"),
        (WORKER, "volumes/2/emptyDir/sizeLimit", "64Mi", "object-store-memory does not fit"),
        (WORKER, "volumes/2/emptyDir/medium", GONE, "/dev/shm is no memory volume"),
        (HEAD, "containers/0/volumeMounts/1", GONE, "cannot write to /home/afdcd"),
    ],
)
def test_a_container_of_the_wrong_size_is_found(
    where: tuple[str, str, str], path: str, value: Any, said: str
) -> None:
    kind, name, root = where
    assert said in broken(unsized, installation("gpu"), (kind, name, root + path, value))


ENVIRONMENT = ("ConfigMap", "afdcd-environment", "data/")
KEEPALIVE = "RAY_grpc_client_keepalive_time_ms"
OPEN = {"name": "debug", "containerPort": 5678}


@pytest.mark.parametrize(
    ("where", "path", "value", "said"),
    [
        (ENVIRONMENT, "RAY_AUTH_MODE", GONE, "RAY_AUTH_MODE does not say token"),
        (ENVIRONMENT, "RAY_AUTH_MODE", "disabled", "container submitter: RAY_AUTH_MODE does not"),
        (SCALER, "envFrom", [], "container autoscaler: RAY_AUTH_MODE does not say token"),
        (ENVIRONMENT, KEEPALIVE, "300000", f"{KEEPALIVE} is missing, or above 10000"),
        (WORKER, "containers/0/envFrom", [], f"group gpu container ray: {KEEPALIVE} is missing"),
        (SUBMITTER, "containers/0/env/4", {"name": "RAY_AUTH_TOKEN", "value": "x"}, "ray-auth"),
        (
            ("RayJob", "afdcd-tune", "spec/rayClusterSpec/"),
            "authOptions",
            GONE,
            "must be mode token",
        ),
        (MLFLOW, "containers/0/ports/+", OPEN, "port 5678 has no guard"),
        (("Service", "mlflow", "spec/"), "type", "LoadBalancer", "Service/mlflow opens something"),
        (("Service", "store", "spec/"), "type", "NodePort", "Service/store opens something"),
        (
            ("RayCluster", "afdcd", "spec/headGroupSpec/"),
            "serviceType",
            "LoadBalancer",
            "opens some",
        ),
        (("RayCluster", "afdcd", "spec/headGroupSpec/"), "enableIngress", True, "opens something"),
    ],
)
def test_a_process_or_a_port_without_a_guard_is_found(
    where: tuple[str, str, str], path: str, value: Any, said: str
) -> None:
    kind, name, root = where
    assert said in broken(unguarded, installation("gpu"), (kind, name, root + path, value))


def test_a_job_that_could_change_pods_is_found() -> None:
    """Whoever submits a job runs code in Ray's container; the token is for the one beside it."""
    change = ("RayCluster", "afdcd", f"{HEAD[2]}containers/0/volumeMounts/+", TOKEN)
    assert "container ray: has a token" in broken(kubernetes_tokens, build("overlays/gpu"), change)
