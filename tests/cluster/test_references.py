"""Whatever an object names is there; each kind of reference is broken once and found."""

import pytest

from tests.cluster.manifests import GONE, INSTALLATIONS, Change, Rule, broken, installation
from tests.cluster.references import dangling, misplaced, queueless, unmatched

HEAD = "spec/headGroupSpec/template/spec/"
MLFLOW = "spec/template/spec/containers/0/"
KEY = "valueFrom/secretKeyRef/"


@pytest.mark.parametrize("rule", [dangling, unmatched, misplaced, queueless])
@pytest.mark.parametrize("name", INSTALLATIONS)
def test_nothing_is_named_that_is_not_there(name: str, rule: Rule) -> None:
    assert list(rule(installation(name))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("ConfigMap", "afdcd-environment", "metadata/name", "x"),
            "no ConfigMap afdcd-environment",
        ),
        (
            ("ConfigMap", "afdcd-environment", "data/AWS_ENDPOINT_URL", GONE),
            "no key AWS_ENDPOINT_URL",
        ),
        (("Secret", "afdcd-mlflow", "metadata/name", "x"), "there is no Secret afdcd-mlflow"),
        (("Secret", "ray-auth", "stringData/auth_token", GONE), "ray-auth has no key auth_token"),
        (("Deployment", "mlflow", f"{MLFLOW}env/0/{KEY}key", "x"), "afdcd-postgres has no key x"),
        (("Deployment", "mlflow", f"{MLFLOW}envFrom/0/configMapRef/name", "x"), "no ConfigMap x"),
        (
            ("StatefulSet", "postgres", "spec/template/spec/volumes/0/configMap/name", "x"),
            "ConfigMap x",
        ),
        (("PersistentVolumeClaim", "cityscapes-raw", "metadata/name", "x"), "Claim cityscapes-raw"),
        (("RayCluster", "afdcd", f"{HEAD}serviceAccountName", "x"), "there is no ServiceAccount x"),
        (("RayCluster", "afdcd", f"{HEAD}serviceAccountName", GONE), "no ServiceAccount default"),
        (
            ("RayJob", "afdcd-tune", "spec/submitterPodTemplate/spec/priorityClassName", "x"),
            "Class x",
        ),
        (
            ("RayCluster", "afdcd", f"{HEAD}containers/0/volumeMounts/0/name", "x"),
            "no volume of the pod",
        ),
        (
            ("RayCluster", "afdcd", f"{HEAD}containers/0/env/+", {"name": "PGPASSWORD"}),
            "is there twice",
        ),
        (
            ("Deployment", "mlflow", f"{MLFLOW}ports/0/name", "x"),
            "asks port http, which it has not",
        ),
    ],
)
def test_a_reference_to_nothing_is_found(change: Change, said: str) -> None:
    assert said in broken(dangling, installation("gpu"), change)


def test_a_token_that_only_the_operator_would_look_for_is_found() -> None:
    """The autoscaler's comes from `authOptions` alone."""
    change = ("RayCluster", "afdcd", "spec/authOptions/secretName", "x")
    assert "head: there is no Secret x" in broken(dangling, installation("gpu"), change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Service", "mlflow", "spec/selector", {"app": "x"}), "Service/mlflow: selects no pod"),
        (("Service", "store", "spec/ports/0/targetPort", "http"), "has no port http"),
        (("PodMonitor", "ray-head", "spec/podMetricsEndpoints/1/port", "scaler"), "no port scaler"),
        (("PodMonitor", "ray-workers", "spec/selector/matchLabels", {"a": "b"}), "selects no pod"),
        (("RayCluster", "afdcd", f"{HEAD}containers/0/ports/5", GONE), "has no port dash-metrics"),
        (
            ("PodDisruptionBudget", "afdcd-tune-head", "spec/selector/matchLabels/afdcd~job", "x"),
            "selects no pod",
        ),
        (
            ("NetworkPolicy", "allow-to-mlflow", "spec/podSelector/matchLabels", {"a": "b"}),
            "no pod",
        ),
        (("Deployment", "mlflow", "spec/template/metadata/labels", {"a": "b"}), "its own pods"),
        (("StatefulSet", "store", "spec/serviceName", "x"), "there is no Service x"),
    ],
)
def test_a_selector_without_its_pods_is_found(change: Change, said: str) -> None:
    assert said in broken(unmatched, installation("gpu"), change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("Service", "mlflow", "metadata/namespace", GONE), "is not in the namespace afdcd"),
        (("Service", "mlflow", "metadata/name", "store"), "Service/store: is there twice"),
    ],
)
def test_an_object_in_the_wrong_place_is_found(change: Change, said: str) -> None:
    assert said in broken(misplaced, installation("gpu"), change)


QUOTA = "spec/resourceGroups/0/coveredResources/2"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("LocalQueue", "afdcd", "metadata/name", "x"), "there is no LocalQueue afdcd"),
        (("ClusterQueue", "afdcd", QUOTA, GONE), "no quota of nvidia.com/gpu"),
        (
            ("WorkloadPriorityClass", "afdcd", "metadata/name", "x"),
            "no WorkloadPriorityClass afdcd",
        ),
        (("RayJob", "afdcd-tune", "metadata/annotations", {}), "not marked as an elastic job"),
    ],
)
def test_a_job_without_its_queue_is_found(change: Change, said: str) -> None:
    assert said in broken(queueless, installation("queue"), change)
