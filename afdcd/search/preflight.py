"""What can be known before the cluster is asked for anything: files that are there and fit."""

import shutil
from collections.abc import Iterable

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.splits import UNLABELLED
from afdcd.data.shards.described import dataset_at
from afdcd.data.shards.manifest import Manifest
from afdcd.data.shards.parquet import check_sizes
from afdcd.data.shards.rows import open_splits
from afdcd.environment import study_database, tracking_uri
from afdcd.models.config import ModelConfig
from afdcd.search.given_teacher import given_teacher
from afdcd.search.load import SearchSpace, teacher_key
from afdcd.search.networks import check_shapes
from afdcd.tasks.names import task_named
from afdcd.tracking.databases import check_apart

ROOM = 64 * 2**20  # databases, one teacher and one student of the smallest kind


def check_data(space: SearchSpace, root: str, manifest: Manifest) -> None:
    """Every shard stands where the manifest says, whole, and no split that is used is empty.

    Raises:
        UserError: what is missing, one line each.
    """
    check_sizes(root, manifest)
    data = space.examples[0].data
    _check_unlabelled(space, manifest)
    reports = dataset_at(data.root, data.dataset).reports(data.protocol)
    roles = ("train", "val", "test") if reports else ("train", "val")
    open_splits(root, manifest, data.protocol, roles)


def _check_unlabelled(space: SearchSpace, manifest: Manifest) -> None:
    for example, source in zip(space.examples, space.sources, strict=True):
        if example.training.unlabelled_share and not manifest.rows(UNLABELLED):
            raise UserError(
                f"{source.at(('training', 'unlabelled_share'))}: {manifest.dataset} has no unlabelled "
                "pictures; leave it out, or prepare the set with --unlabelled DIR"
            )


def check_weights(space: SearchSpace) -> None:
    """Given teachers and pretrained encoders load, and the trials fit the teachers.

    Raises:
        UserError: a file that is missing, no safetensors, or of another network.
    """
    first = space.examples[0]
    classes = task_named(first.task).outputs(first.data)
    for model in _pretrained(space):
        model.build(classes)
    cards = {
        teacher_key(example): given_teacher(example)[1]
        for example in space.with_teachers()
        if example.pair.teacher and example.pair.teacher.weights
    }
    for example in space.examples:
        if card := cards.get(teacher_key(example)):
            check_shapes(example, space.source, card.model)


def check_writable(folder: str) -> None:
    """Raises UserError where nothing can be kept: read-only, full, no folder, or one database for two."""
    check_apart(tracking_uri(), study_database())
    storage.write_bytes(storage.join(folder, "writable"), b"")
    if "://" not in folder and (free := shutil.disk_usage(folder).free) < ROOM:
        raise UserError(
            f"{folder}: {free / 2**20:.0f} MiB free, {ROOM / 2**20:.0f} are needed to begin; free "
            "some, or set AFDCD_STORAGE to another place"
        )


def _pretrained(space: SearchSpace) -> Iterable[ModelConfig]:
    models = {}
    for example in space.examples:
        teacher = example.pair.teacher
        trained = teacher.model if teacher and teacher.train else None
        for model in (example.pair.student, trained):
            if model and model.pretrained:
                models[model.encoder, model.pretrained] = model
    return models.values()
