"""The operator would act on every object; each of its own rules is broken once and found."""

from typing import Any

import pytest

from tests.cluster.kuberay import refused
from tests.cluster.manifests import BUILDS, GONE, Change, broken, build

HEAD, WORKERS = "spec/headGroupSpec", "spec/workerGroupSpecs/1"
REDIS = {"redisAddress": "redis://redis:6379"}
RULES = {"deletionRules": [{"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED"}}]}


@pytest.mark.parametrize("name", BUILDS)
def test_nothing_is_refused(name: str) -> None:
    assert list(refused(build(name))) == []


def of_cluster(path: str, value: Any) -> Change:
    return ("RayCluster", "afdcd", path, value)


def of_job(path: str, value: Any) -> Change:
    return ("RayJob", "afdcd-tune", path, value)


def environment(name: str, value: str = "1") -> Change:
    path = f"{HEAD}/template/spec/containers/0/env/+"
    return of_cluster(path, {"name": name, "value": value})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([of_cluster("metadata/name", "a" * 54)], "more than 53 characters"),
        ([of_cluster("metadata/name", "1afdcd")], "no DNS-1035 label"),
        ([of_cluster(f"{WORKERS}/template/spec/containers", [])], "group spot: has no container"),
        ([of_cluster(f"{HEAD}/resources", {"CPU": "2"})], "resources both in rayStartParams"),
        ([of_cluster(f"{HEAD}/rayStartParams/labels", "a=b")], "has labels in rayStartParams"),
        ([of_cluster(f"{HEAD}/labels", {"a": "-"})], "label a has the value '-'"),
        ([of_cluster(f"{WORKERS}/minReplicas", 20)], "minReplicas above its maxReplicas"),
        ([of_cluster(f"{WORKERS}/minReplicas", -1)], "fewer than 0 replicas"),
        ([of_cluster(f"{WORKERS}/suspend", True)], "suspend is the operator's own"),
        ([of_cluster(f"{WORKERS}/idleTimeoutSeconds", -1)], "idleTimeoutSeconds is below 0"),
        (
            [of_cluster("spec/autoscalerOptions/version", "v1")],
            "idleTimeoutSeconds needs autoscaler v2",
        ),
        ([of_cluster("spec/rayVersion", "2.55.0")], "priority needs autoscaler v2 and Ray 2.56"),
        (
            [
                of_cluster("spec/enableInTreeAutoscaling", False),
                of_cluster(f"{WORKERS}/minReplicas", GONE),
            ],
            "needs minReplicas and maxReplicas",
        ),
        (
            [of_cluster("spec/networkPolicy", {"mode": "DenyAll"})],
            "networkPolicy needs a feature gate",
        ),
        ([of_cluster("spec/autoscalerOptions/idleTimeoutSeconds", -1)], "is below 0"),
        (
            [
                of_cluster(
                    "spec/autoscalerOptions/env", [{"name": "KUBERAY_GEN_AUTOSCALER_START_CMD"}]
                )
            ],
            "has KUBERAY_GEN_AUTOSCALER_START_CMD",
        ),
        ([environment("RAY_enable_autoscaler_v2")], "is set beside autoscalerOptions.version"),
        (
            [of_cluster(f"{HEAD}/template/spec/restartPolicy", "Always")],
            "needs restartPolicy Never",
        ),
        ([of_cluster("spec/rayVersion", GONE)], "token authentication needs rayVersion"),
        ([of_cluster("spec/authOptions/enableK8sTokenAuth", True)], "and no secretName"),
        ([environment("RAY_REDIS_ADDRESS")], "without gcsFaultToleranceOptions"),
        ([environment("REDIS_USERNAME")], "the user of Redis"),
        (
            [of_cluster("spec/gcsFaultToleranceOptions", REDIS), environment("REDIS_PASSWORD")],
            "address and password of Redis",
        ),
        (
            [
                of_cluster("spec/gcsFaultToleranceOptions", REDIS),
                of_cluster("metadata/annotations", {"ray.io/ft-enabled": "true"}),
            ],
            "an annotation says",
        ),
        (
            [of_cluster("spec/gcsFaultToleranceOptions", {"backend": "rocksdb"})],
            "needs a feature gate",
        ),
        (
            [of_cluster("spec/gcsFaultToleranceOptions", {**REDIS, "storage": {"size": "1Gi"}})],
            "storage is for rocksdb",
        ),
    ],
)
def test_a_cluster_that_the_operator_refuses_is_found(changes: list[Change], said: str) -> None:
    assert said in broken(refused, build("overlays/spot"), *changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([of_job("metadata/name", "a" * 48)], "more than 47 characters"),
        ([of_job("spec/rayClusterSpec", GONE)], "needs rayClusterSpec or clusterSelector"),
        (
            [
                of_job("spec/rayClusterSpec", GONE),
                of_job("spec/clusterSelector", {"ray.io/cluster": "afdcd"}),
            ],
            "clusterSelector allows no retry",
        ),
        ([of_job("spec/submissionMode", "InteractiveMode")], "InteractiveMode allows no retry"),
        (
            [of_job("spec/submissionMode", "SidecarMode")],
            "SidecarMode takes no submitterPodTemplate",
        ),
        (
            [
                of_job(
                    "spec/rayClusterSpec/authOptions", {"mode": "token", "enableK8sTokenAuth": True}
                )
            ],
            "is not for a RayJob",
        ),
        (
            [of_job("spec/rayClusterSpec/upgradeStrategy", {"type": "None"})],
            "upgradeStrategy is not",
        ),
        ([of_job("spec/preRunningDeadlineSeconds", 0)], "preRunningDeadlineSeconds is not above 0"),
        ([of_job("spec/activeDeadlineSeconds", 0)], "activeDeadlineSeconds is not above 0"),
        ([of_job("spec/backoffLimit", -1)], "backoffLimit is below 0"),
        ([of_job("spec/runtimeEnvYAML", "a: [")], "runtimeEnvYAML is no YAML"),
        ([of_job("spec/shutdownAfterJobFinishes", False)], "needs shutdownAfterJobFinishes"),
        ([of_job("spec/ttlSecondsAfterFinished", -1)], "ttlSecondsAfterFinished is below 0"),
        ([of_job("spec/deletionStrategy", RULES)], "deletionStrategy needs either"),
        (
            [of_job("spec/suspend", True), of_job("spec/shutdownAfterJobFinishes", False)],
            "suspend needs shutdownAfterJobFinishes",
        ),
    ],
)
def test_a_job_that_the_operator_refuses_is_found(changes: list[Change], said: str) -> None:
    assert said in broken(refused, build("jobs"), *changes)
