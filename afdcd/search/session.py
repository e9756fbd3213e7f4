"""What every driver needs before it asks for a cluster: a place to write, MLflow, data, weights."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.loader import prepared_root
from afdcd.environment import storage_root
from afdcd.search.load import SearchSpace
from afdcd.search.preflight import check_data, check_weights, check_writable
from afdcd.search.progress import Rendering
from afdcd.tracking.datasets import dataset_input
from afdcd.tracking.tracker import Tracker
from afdcd.training import pulse


@dataclass(frozen=True)
class Session:
    """One driver at work in a folder.

    Attributes:
        space: rooted at the prepared data.
        digest: of the prepared data.
    """

    space: SearchSpace
    folder: str
    digest: str
    tracker: Tracker


@contextmanager
def session(space: SearchSpace, folder: str) -> Iterator[Session]:
    """All that can fail early does so here, the cheapest first.

    Raises:
        UserError: anything a person can mend.
    """
    check_writable(folder)
    with _only_driver(folder, space.name):
        tracker = Tracker()
        tracker.tidy(_last_sign)
        data = space.examples[0].data
        root = prepared_root(data, storage.join(storage_root(), "data"), Rendering())
        manifest = read_manifest(root, data.dataset)
        tracker.data = dataset_input(root, manifest, data.protocol)
        check_data(space, root, manifest)
        check_weights(space)
        try:
            yield Session(space.rooted(root), folder, manifest.digest, tracker)
        finally:
            tracker.close()


def _last_sign(job: str, title: str) -> float | None:
    """When a teacher or a single run of this storage was last heard of."""
    root = storage_root()
    teacher, single = storage.join(root, "teachers", job), storage.join(root, "runs", title, job)
    seen = pulse.read(teacher if job.startswith("teacher-") else single)
    return seen.at if seen else None


@contextmanager
def _only_driver(folder: str, name: str) -> Iterator[None]:
    """Two drivers of one study would run its trials twice; a file lock dies with its holder."""
    if "://" in folder:
        yield
        return
    with (Path(folder) / "driver.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"study {name!r} is already being run by another process; wait for it, stop it, or "
                "give this one its own name: study.name=..."
            ) from None
        yield
