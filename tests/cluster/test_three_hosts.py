"""A study on a head and two workers, each a host of its own, that ends as if nothing had happened.

Its database, MLflow and the object store lie on a fourth host. A link is cut and heals, a host loses
its power, the head loses its power and the same command is given again. All its settings are asked
for, so every value, every point and every weight must be those of the undisturbed study.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.hosts import Host, missing
from tests.cluster.ray_hosts import Job, RayHosts, ray_hosts
from tests.faults.outcome import difference, facts_of, leftovers

REASON = missing()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("ray"),
    pytest.mark.timeout(3600),
    pytest.mark.skipif(bool(REASON), reason=REASON),
]
LONG = 1800.0  # seconds; a run takes thirty on two idle cores
SPACE = """
data: {{dataset: synthetic, crop: [64, 64], root: {root}}}
pair:
  student: {{head: pspnet, encoder: "timm:lcnet_050"}}
  teacher: {{weights: {teacher}}}
distiller:
  choice:
    - {{method: none}}
    - {{method: afdcd, tau: {{log: [0.05, 1.0]}}, groups: 8, patch: 2, pool: 0, fd_weight: 1e-5}}
training: {{iterations: 30, validate_every: 5, batch: 4}}
study:
  trials: 2
  proof: {{seeds: 0}}
  enqueue: [{{distiller: {{method: none}}}}, {{distiller: {{method: afdcd, tau: 0.5}}}}]
"""
LOST = r"trial \d \w+ lost: "
VALIDATED = r" iteration \d+/30"


@pytest.fixture(scope="module")
def here() -> Iterator[RayHosts]:
    with ray_hosts() as found:
        yield found


def test_a_study_outlives_a_cut_link_a_killed_host_and_a_killed_head(here: RayHosts) -> None:
    quiet = _submitted(here, "quiet")
    here.until("the undisturbed study", quiet.has_succeeded, LONG)
    job = _submitted(here, "disturbed")
    _cut_a_link(here, job)
    _kill_a_host(here, job)
    _kill_the_head(here, job)
    here.until("the disturbed study", job.has_succeeded, LONG)
    printed = job.printed()
    assert "Traceback" not in printed
    right, found = facts_of(here, "quiet"), facts_of(here, "disturbed")
    counts, lines = difference(right, found)
    print(f"1 cut, 1 killed host, 1 killed head: {len(found)} facts, {counts.total()} differ")
    assert right["row trial-0001 value"]
    assert lines == []
    assert leftovers(here) == []


def test_the_two_workers_of_one_run_are_on_two_hosts(here: RayHosts) -> None:
    words = "study.trials=1 training.iterations=10 resources.workers=2"
    job = _submitted(here, "wide", words + " 'study.enqueue=[{distiller: {method: none}}]'")

    def spread() -> bool:
        assert not job.has_succeeded(), job.printed()
        return [len(here.trainers(host)) for host in here.workers] == [1, 1]

    here.until("a worker on each host", spread, LONG)
    here.until("the study", job.has_succeeded, LONG)
    facts = facts_of(here, "wide")
    assert facts["row trial-0000 ended"] == ["COMPLETE completed "]


def _submitted(here: RayHosts, name: str, words: str = "") -> Job:
    space = Path(here.folder, "hosts.yaml")
    space.write_text(SPACE.format(root=here.root, teacher=here.teacher))
    job = Job(here, f"python -m afdcd.tune {space} study.name={name} {words}")
    job.submit()
    return job


def _cut_a_link(here: RayHosts, job: Job) -> None:
    """Of a host that trains. The run goes on elsewhere, and the host joins again."""
    host = _training(here, job)
    host.cut()
    began = time.monotonic()
    here.until("the loss to be noticed", lambda: job.count(LOST) > 0, LONG)
    print(f"the run on a host that was cut off was lost after {time.monotonic() - began:.0f} s")
    here.until("the cluster to give the node up", lambda: here.nodes() == 2, LONG)
    host.heal()
    here.ready()


def _kill_a_host(here: RayHosts, job: Job) -> None:
    host = _training(here, job)
    lost = job.count(LOST)
    here.kill(host)
    here.until("the loss to be noticed", lambda: job.count(LOST) > lost, LONG)
    here.until("the cluster to give the node up", lambda: here.nodes() == 2, LONG)
    here.start_ray(host)
    here.ready()


def _kill_the_head(here: RayHosts, job: Job) -> None:
    """The driver goes with it. The same command is given to the head that comes in its place."""
    _training(here, job)
    here.kill(here.head)
    here.start_ray(here.head)
    job.submit()
    here.ready()


def _training(here: RayHosts, job: Job) -> Host:
    """A worker host with a run on it, once a further validation was told."""
    told = job.count(VALIDATED)
    here.until("a validation", lambda: job.count(VALIDATED) > told, LONG)
    return next(host for host in here.workers if here.trainers(host))
