"""The policies let through what the environment names and nothing else."""

from typing import Any

import pytest

from tests.cluster.manifests import GONE, INSTALLATIONS, Change, Rule, broken, installation, named
from tests.cluster.network import crossed, outside

NODES = {"matchLabels": {"ray.io/is-ray-node": "yes"}}


@pytest.mark.parametrize("rule", [crossed, outside])
@pytest.mark.parametrize("name", INSTALLATIONS)
def test_what_is_needed_is_open_and_nothing_else(name: str, rule: Rule) -> None:
    assert list(rule(installation(name))) == []


def policy(name: str, path: str, value: Any) -> Change:
    return ("NetworkPolicy", name, f"spec/{path}", value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (policy("allow-to-mlflow", "ingress", []), "head to Deployment/mlflow port 5000"),
        (
            policy("allow-ray-to-store", "egress/0/ports/0/port", 80),
            "to StatefulSet/store port 8333",
        ),
        (policy("allow-ray-to-ray", "ingress", GONE), "to RayCluster/afdcd head port 23456"),
        (
            policy("allow-submitter-out", "egress", GONE),
            "submitter to RayJob/afdcd-tune head port 8265",
        ),
        (
            policy("allow-mlflow-to-postgres", "policyTypes", ["Ingress"]),
            "StatefulSet/postgres port",
        ),
    ],
)
def test_what_is_needed_and_closed_is_found(change: Change, said: str) -> None:
    found = broken(crossed, installation("gpu"), change)
    assert "closed, though it is needed" in found and said in found


@pytest.mark.parametrize(
    "change",
    [
        policy("allow-ray-to-mlflow", "egress/0/ports", GONE),
        policy("allow-submitter-to-head", "ingress/0/ports", GONE),
    ],
)
def test_one_side_alone_opens_nothing(change: Change) -> None:
    """A connection needs the policies of both its ends, so a slip on one side is caught by the other."""
    assert broken(crossed, installation("cpu-dev"), change) == ""


def test_what_is_open_and_not_needed_is_found() -> None:
    documents = installation("gpu")
    both = [
        policy("allow-ray-to-store", "egress/0/ports", GONE),
        policy("allow-to-store", "ingress/0/ports", GONE),
    ]
    said = broken(crossed, documents, *both)
    assert (
        "open, though nothing names it: RayCluster/afdcd head to StatefulSet/store port 8888"
        in said
    )


def test_an_address_that_changes_is_found_until_its_policy_does() -> None:
    change = ("ConfigMap", "afdcd-environment", "data/AWS_ENDPOINT_URL", "https://s3.example.com")
    documents = installation("gpu")
    assert "to StatefulSet/store port 8333" in broken(crossed, documents, change)
    assert "port 443 of an external service is closed" in broken(outside, documents, change)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("gpu", ("NetworkPolicy", "deny-all", "metadata/name", "x"), "deny-all is missing"),
        (
            "gpu",
            policy("allow-to-mlflow", "ingress/0/from/+", {"namespaceSelector": {}}),
            "opens the",
        ),
        ("gpu", policy("allow-to-mlflow", "ingress/0/from", GONE), "allow-to-mlflow: opens the"),
        (
            "gpu",
            policy("allow-prometheus", "ingress/0/ports/+", {"port": 8265}),
            "other ports than",
        ),
        ("gpu", policy("allow-operator-to-head", "ingress/0/ports", GONE), "other ports than"),
        (
            "gpu",
            policy("allow-operator-to-head", "ingress/0/from/0/namespaceSelector", {}),
            "others than ray-system",
        ),
        (
            "external",
            policy("allow-mlflow-to-external-services", "egress", []),
            "443 of an external",
        ),
        (
            "gpu",
            policy("allow-ray-to-mlflow", "egress/0/to/+", {"ipBlock": {"cidr": "0.0.0.0/0"}}),
            "5000",
        ),
    ],
)
def test_an_opening_to_the_outside_is_found(name: str, change: Change, said: str) -> None:
    assert said in broken(outside, installation(name), change)


def test_the_pods_that_a_policy_is_for_are_in_the_installation() -> None:
    """So that the reckoning above is not of an empty set."""
    assert (
        named(installation("gpu"), "NetworkPolicy", "allow-ray-to-ray")["spec"]["podSelector"]
        == NODES
    )
