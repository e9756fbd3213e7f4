"""The data set among the inputs of every run, once, in a real MLflow database."""

import json
from dataclasses import replace
from typing import Any

import pytest
from mlflow.entities import DatasetInput

from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.shards.manifest import Manifest, read_manifest
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.tracking.datasets import dataset_input
from afdcd.tracking.pages import Place
from afdcd.tracking.runs import project_run, project_study
from tests.tracking.made import record, study


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("data") / "shards")
    prepare_synthetic(folder, SyntheticConfig(height=64, width=80, train=3, val=2, test=1))
    return folder


@pytest.fixture
def manifest(root: str) -> Manifest:
    return read_manifest(root)


def inputs(place: Place, run: str) -> list[DatasetInput]:
    return list(place.client.get_run(run).inputs.dataset_inputs)


def tags(given: DatasetInput) -> dict[str, str]:
    return {tag.key: tag.value for tag in given.tags}


def test_study_and_trial_name_their_data_set(place: Place, root: str, manifest: Manifest) -> None:
    place = replace(place, data=dataset_input(root, manifest, "dev"))
    for run in (project_study(place, study()).run, project_run(place, record("nowhere")).run):
        (given,) = inputs(place, run)
        assert given.dataset.name == "synthetic"
        assert given.dataset.digest == manifest.digest[:36]
        assert json.loads(given.dataset.source) == {"uri": root}
        profile = json.loads(given.dataset.profile)
        assert (profile["rows_train"], profile["rows_val"], profile["rows_test"]) == (3, 2, 1)
        assert profile["classes"] == len(SYNTHETIC.classes)
        assert [c["name"] for c in json.loads(given.dataset.schema)["mlflow_colspec"]] == [
            "key",
            "image",
            "label",
        ]
        expected = {"protocol": "dev", "split": "train", "digest": manifest.digest}
        assert tags(given) == {"mlflow.data.context": "training", **expected}


def test_a_run_that_goes_on_does_not_list_it_twice(
    place: Place, root: str, manifest: Manifest
) -> None:
    place = replace(place, data=dataset_input(root, manifest, "dev"))
    for _ in range(2):
        runs = [project_study(place, study()).run, project_run(place, record("nowhere")).run]
    assert [len(inputs(place, run)) for run in runs] == [1, 1]


def test_another_protocol_on_the_same_data_is_told_apart(
    place: Place, root: str, manifest: Manifest
) -> None:
    """One record of the data set, one tag per run: MLflow would keep the first run's words."""
    found = []
    for protocol in ("dev", "official"):
        place = replace(place, data=dataset_input(root, manifest, protocol))
        found += inputs(place, project_run(place, record("nowhere", protocol)).run)
    assert [tags(given)["protocol"] for given in found] == ["dev", "official"]
    assert len({given.dataset.digest for given in found}) == 1


def test_runs_can_be_searched_by_data_set(place: Place, root: str, manifest: Manifest) -> None:
    project_run(place, record("nowhere", "before"))
    place = replace(place, data=dataset_input(root, manifest, "dev"))
    after = project_run(place, record("nowhere", "after")).run
    query = f"dataset.name = 'synthetic' and dataset.digest = '{manifest.digest[:36]}'"
    (found,) = place.client.search_runs([place.experiment], query)
    assert found.info.run_id == after


@pytest.mark.parametrize(
    ("where", "kind", "uri"),
    [
        ("/data/camvid", "local", "/data/camvid"),
        ("s3://key:secret@bucket/camvid", "s3", "s3://bucket/camvid"),
    ],
)
def test_source_says_where_without_secrets(
    where: str, kind: str, uri: str, manifest: Manifest
) -> None:
    dataset: Any = dataset_input(where, manifest, "dev").dataset
    assert (dataset.source_type, json.loads(dataset.source)) == (kind, {"uri": uri})
