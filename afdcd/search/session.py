"""What every driver needs before it asks for a cluster: a place to write, MLflow, data, weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from afdcd import storage
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.loader import prepared_root
from afdcd.environment import storage_root, study_database
from afdcd.search.lease import Lease, hold
from afdcd.search.load import SearchSpace
from afdcd.search.preflight import check_data, check_weights, check_writable
from afdcd.search.rendering import Rendering
from afdcd.tracking.datasets import dataset_input
from afdcd.tracking.server import check_database
from afdcd.tracking.tracker import Tracker
from afdcd.training import pulse


@dataclass(frozen=True)
class Session:
    """One driver at work in a folder.

    Attributes:
        space: rooted at the prepared data.
        digest: of the prepared data.
        lease: what makes it the only one.
    """

    space: SearchSpace
    folder: str
    digest: str
    tracker: Tracker
    lease: Lease


@contextmanager
def session(space: SearchSpace, folder: str, kind: str) -> Iterator[Session]:
    """All that can fail early does so here, the cheapest first.

    Args:
        kind: "study" or "run"; with the name of the space it is what only one driver works on.

    Raises:
        UserError: anything a person can mend, another driver at work among it.
    """
    check_writable(folder)
    check_database(study_database(), "AFDCD_STUDY_DB")
    with hold(study_database(), f"{kind} {space.name}") as lease:
        tracker = Tracker(allowed=lease.holds)
        tracker.tidy(_last_sign)
        data = space.examples[0].data
        root = prepared_root(data, storage.join(storage_root(), "data"), Rendering())
        manifest = read_manifest(root, data.dataset)
        tracker.data = dataset_input(root, manifest, data.protocol)
        check_data(space, root, manifest)
        check_weights(space)
        try:
            yield Session(space.rooted(root), folder, manifest.digest, tracker, lease)
        finally:
            tracker.close()


def _last_sign(job: str, title: str) -> float | None:
    """When a teacher or a single run of this storage was last heard of."""
    root = storage_root()
    teacher, single = storage.join(root, "teachers", job), storage.join(root, "runs", title, job)
    seen = pulse.read(teacher if job.startswith("teacher-") else single)
    return seen.at if seen else None
