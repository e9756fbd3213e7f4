"""An installation fits into its quota when all its groups are at their largest."""

import pytest

from tests.cluster.manifests import Change, broken, build, installation, secrets, title
from tests.cluster.quota import beyond


@pytest.mark.parametrize("name", ["gpu", "spot", "queue"])
def test_the_quota_holds_the_cluster_and_both_jobs(name: str) -> None:
    assert list(beyond(installation(name))) == []


def test_the_quota_without_gpus_holds_the_cluster_and_the_job_that_prepares() -> None:
    jobs = [d for d in build("jobs") if title(d) != "RayJob/afdcd-tune"]
    assert list(beyond([*build("overlays/cpu-dev"), *jobs, *secrets()])) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("RayCluster", "afdcd", "spec/workerGroupSpecs/0/maxReplicas", 90), "nvidia.com/gpu: 98"),
        (("ResourceQuota", "afdcd", "spec/hard/limits.memory", "8Gi"), "limits.memory"),
        (
            ("PersistentVolumeClaim", "cityscapes-raw", "spec/resources/requests/storage", "9Ti"),
            "stor",
        ),
        (("ResourceQuota", "afdcd", "spec/hard/pods", "20"), "pods"),
    ],
)
def test_what_does_not_fit_is_found(change: Change, said: str) -> None:
    assert said in broken(beyond, installation("gpu"), change)
