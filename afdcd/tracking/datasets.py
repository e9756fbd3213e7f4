"""The prepared data set as MLflow lists it under a run's inputs ("Datasets used")."""

import json
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from afdcd.data.catalog.splits import ALL_SPLITS, SPLITS
from afdcd.data.shards.manifest import Manifest
from afdcd.text import shown

DIGEST_LENGTH = 36  # characters, of the digest's column
_COLUMNS = (("key", "string"), ("image", "binary"), ("label", "binary"))


def dataset_input(root: str, manifest: Manifest, protocol: str) -> DatasetInput:
    """What a run learns from.

    MLflow keeps one record per name and digest, as the first run gave it. So the record holds what
    the digest stands for; what the runs on it may differ in is in the tags of each input.
    """
    scheme, separator, _ = root.partition("://")
    source = {"uri": shown(root)}
    rows = {s: manifest.rows(s) for s in ALL_SPLITS if s in SPLITS or manifest.rows(s)}
    profile: dict[str, Any] = {
        "num_rows": sum(rows.values()),
        **{f"rows_{s}": n for s, n in rows.items()},
    }
    if manifest.own:
        profile |= {"split": manifest.own.split, "ignored": list(manifest.own.ignored)}
    schema = [{"name": name, "type": kind, "required": True} for name, kind in _COLUMNS]
    dataset = Dataset(
        name=manifest.dataset,
        digest=manifest.digest[:DIGEST_LENGTH],
        source_type=scheme if separator else "local",
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": schema}),
        profile=json.dumps({**profile, **_classes(manifest)}),
    )
    tags = {
        MLFLOW_DATASET_CONTEXT: "training",
        "protocol": protocol,
        "split": "train",
        "digest": manifest.digest,
    }
    return DatasetInput(dataset, [InputTag(key, value) for key, value in tags.items()])


def _classes(manifest: Manifest) -> dict[str, Any]:
    """Their names where no catalog has them."""
    names = {"class_names": list(manifest.classes)} if manifest.own else {}
    return {"classes": len(manifest.classes), **names}


def restored(plain: dict[str, Any]) -> DatasetInput:
    """What `DatasetInput.to_dictionary` gave, as it was."""
    tags = [InputTag(key, value) for key, value in plain["tags"].items()]
    return DatasetInput(Dataset.from_dictionary(plain["dataset"]), tags)
