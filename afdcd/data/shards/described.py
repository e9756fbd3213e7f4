"""What is known of a data set: from the catalog for published ones, from its manifest for others."""

from functools import lru_cache, partial
from operator import contains

from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import DATASETS, dataset_named
from afdcd.data.catalog.splits import UNLABELLED
from afdcd.data.shards.manifest import Manifest, read_manifest


@lru_cache(maxsize=16)
def dataset_at(root: str | None, name: str) -> Dataset:
    """The data set called `name`, prepared at `root`; published ones are known without a look.

    Raises:
        UserError: it is in no catalog, and there is no such set at `root`.
    """
    if name in DATASETS:
        return DATASETS[name]
    return described(read_manifest(root or "", name))


def described(manifest: Manifest) -> Dataset:
    """The data set of which `manifest` is."""
    own = manifest.own
    if own is None:
        return dataset_named(manifest.dataset)
    return Dataset(
        name=manifest.dataset,
        classes=manifest.classes,
        palette=own.palette,
        raw_to_train=_numbers(manifest),
        counts={},
        image_size=None,
        held_out=partial(contains, frozenset(own.held_out)),
        report="test" if manifest.rows("test") else "val",
        unlabelled=(UNLABELLED,),
    )


def _numbers(manifest: Manifest) -> dict[int, int]:
    """The numbers of each class in its label files; its train id where they are none of 8 bits."""
    numbers = {
        raw: train for raw, train in manifest.label_table.items() if raw.isascii() and raw.isdigit()
    }
    table = {int(raw): train for raw, train in numbers.items() if int(raw) < 256}
    classes = range(len(manifest.classes))
    return table if set(classes) <= set(table.values()) else {train: train for train in classes}
