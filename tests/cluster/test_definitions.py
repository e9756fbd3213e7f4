"""Every manifest has the fields that its kind has, and no other; each kind of mistake is found."""

from typing import Any

import pytest

from tests.cluster.definitions import errors
from tests.cluster.manifests import BUILDS, GONE, broken, build

JOB, CLUSTER = ("RayJob", "afdcd-tune"), ("RayCluster", "afdcd")
HEAD = "spec/headGroupSpec/template/spec/containers/0"


@pytest.mark.parametrize("name", BUILDS)
def test_a_build_is_valid(name: str) -> None:
    assert list(errors(build(name))) == []


@pytest.mark.parametrize(
    ("of", "path", "value", "said"),
    [
        (JOB, "spec/submisionMode", "K8sJobMode", "'submisionMode' was unexpected"),
        (JOB, "spec/backoffLimit", "3", "is not of type 'integer'"),
        (CLUSTER, "spec/authOptions/mode", "password", "is not one of"),
        (JOB, "spec/rayClusterSpec/managedBy", "me", "managedBy"),  # a CEL rule
        (JOB, "apiVersion", "ray.io/v1alpha1", "deprecated"),
        (CLUSTER, "spec/rayVersion", 2.60, "is not of type 'string'"),
        (CLUSTER, "spec/headGroupSpec/rayStartParams/num-cpus", 0, "is not of type 'string'"),
        (CLUSTER, "spec/headGroupSpec/template", GONE, "'template' is a required property"),
        (CLUSTER, f"{HEAD}/resource", {}, "'resource' was unexpected"),
        (CLUSTER, f"{HEAD}/ports/+", {"containerPort": 6379}, "containerPort, protocol = 6379"),
        (CLUSTER, "metadata/label", {}, "'label' was unexpected"),
        (("PodMonitor", "ray-head"), "spec/podMetricsEndpoints/0/ports", 1, "was unexpected"),
    ],
)
def test_a_mistake_in_an_operators_kind_is_found(
    of: tuple[str, str], path: str, value: Any, said: str
) -> None:
    documents = build("jobs") if of == JOB else build("overlays/gpu")
    assert said in broken(errors, documents, (*of, path, value))


@pytest.mark.parametrize(
    ("of", "path", "value", "said"),
    [
        (("Deployment", "mlflow"), "spec/replicas", "two", "is not of type 'integer'"),
        (("Deployment", "mlflow"), "spec/strategi", {}, "'strategi' was unexpected"),
        (("PodDisruptionBudget", "mlflow"), "apiVersion", "policy/v1beta1", "has no such kind"),
        (("NetworkPolicy", "allow-dns"), "spec/egres", [], "'egres' was unexpected"),
    ],
)
def test_a_mistake_in_a_kind_of_kubernetes_is_found(
    of: tuple[str, str], path: str, value: Any, said: str
) -> None:
    assert said in broken(errors, build("overlays/cpu-dev"), (*of, path, value))
