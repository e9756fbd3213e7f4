"""Model versions in a real registry: registered, found, described anew, fetched and loaded."""

from dataclasses import replace
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from afdcd.config import UserError
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, load_network, save_network
from afdcd.tracking.registry import Version, fetch, find, register
from afdcd.tracking.runs import Tracker
from tests.examples import job

MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    card = NetworkCard(
        model=MODEL,
        dataset="synthetic",
        classes=SYNTHETIC.classes,
        palette=SYNTHETIC.palette,
        normalisation="imagenet",
        miou=0.5,
    )
    file = tmp_path_factory.mktemp("weights") / "student.safetensors"
    save_network(file, MODEL.build(len(SYNTHETIC.classes)), card)
    return file.read_bytes()


def version(tracker: Tracker, name: str = "trial-0000", **changes: object) -> Version:
    tracker.started(job(name))
    values = {
        "name": "street",
        "run": tracker.run_of(name),
        "tags": {"miou": "0.5000", "fingerprint": "f" * 64},
        "description": "a student",
        "aliases": ("champion",),
    }
    return Version(**{**values, **changes})


def test_version_shows_tags_description_alias_and_run(tracker: Tracker, weights: bytes) -> None:
    given = version(tracker)
    assert register(tracker.client, given, weights) == "1"
    found = tracker.client.get_model_version_by_alias("street", "champion")
    assert (str(found.version), found.run_id) == ("1", given.run)
    assert found.description == "a student"
    assert found.tags["miou"] == "0.5000"


def test_registering_a_run_again_brings_its_version_up_to_date(
    tracker: Tracker, weights: bytes
) -> None:
    register(tracker.client, version(tracker), weights)
    again = version(tracker, description="better known", tags={"miou": "0.6000"})
    assert register(tracker.client, again, weights) == "1"
    (only,) = tracker.client.search_model_versions("name = 'street'")
    assert (only.description, only.tags["miou"]) == ("better known", "0.6000")


def test_alias_moves_to_the_version_that_is_registered_with_it(
    tracker: Tracker, weights: bytes
) -> None:
    register(tracker.client, version(tracker), weights)
    assert register(tracker.client, version(tracker, "trial-0001"), weights) == "2"
    champion = tracker.client.get_model_version_by_alias("street", "champion")
    assert str(champion.version) == "2"


def test_fetched_by_alias_or_version_it_loads(tracker: Tracker, weights: bytes) -> None:
    register(tracker.client, version(tracker), weights)
    for uri in ("models:/street@champion", "models:/street/1"):
        path = fetch(uri)
        assert path.suffix == ".safetensors"
        assert path.read_bytes() == weights
        assert load_network(path)[1].model == MODEL


def test_path_of_a_file_is_that_file() -> None:
    assert fetch("some/where.safetensors") == Path("some/where.safetensors")


def test_found_again_by_its_fingerprint(tracker: Tracker, weights: bytes) -> None:
    assert find(tracker.client, "f" * 64) is None
    register(tracker.client, version(tracker), weights)
    assert find(tracker.client, "f" * 64) == "models:/street/1"
    assert find(tracker.client, "e" * 64) is None


@pytest.mark.parametrize(
    "uri",
    ["models:/street@nobody", "models:/street/9", "models:/nothing@champion"],
)
def test_what_is_not_in_the_registry_is_one_line(
    tracker: Tracker, weights: bytes, uri: str
) -> None:
    register(tracker.client, version(tracker), weights)
    with pytest.raises(UserError) as error:
        fetch(uri)
    assert str(error.value).startswith(f"{uri}: not in the registry at sqlite:///")
    assert "\n" not in str(error.value)


def test_model_that_somebody_else_registered_is_one_line(tracker: Tracker, tmp_path: Path) -> None:
    given = version(tracker)
    file = tmp_path / "model.pkl"
    file.write_bytes(b"x")
    tracker.client.log_artifact(given.run, str(file), "model")
    tracker.client.create_registered_model("street")
    source = f"{tracker.client.get_run(given.run).info.artifact_uri}/model"
    tracker.client.create_model_version("street", source, given.run)
    with pytest.raises(UserError, match=r"holds no \.safetensors file"):
        fetch("models:/street/1")


def test_unreachable_registry_is_one_line_without_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:s3cret@127.0.0.1:9")
    with pytest.raises(UserError, match="cannot be reached") as error:
        fetch("models:/street@champion")
    assert "s3cret" not in str(error.value)


def test_silence_while_registering_is_one_line(
    tracker: Tracker, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = version(tracker)

    def silent(*arguments: object, **named: object) -> None:
        raise MlflowException("API request to http://user:s3cret@host failed\nTraceback")

    monkeypatch.setattr(tracker.client, "search_model_versions", silent)
    for call in (
        lambda: register(tracker.client, given, weights),
        lambda: find(tracker.client, "f"),
    ):
        with pytest.raises(UserError, match="MLflow does not answer") as error:
            call()
        assert "\n" not in str(error.value)
        assert "s3cret" not in str(error.value)


def test_alias_that_a_person_moved_stays_where_it_is(tracker: Tracker, weights: bytes) -> None:
    first, second = version(tracker), version(tracker, "trial-0001")
    register(tracker.client, first, weights)
    register(tracker.client, replace(second, aliases=()), weights)
    tracker.client.set_registered_model_alias(first.name, "champion", "2")
    register(tracker.client, first, weights)  # the finished study is run again
    assert tracker.client.get_model_version_by_alias(first.name, "champion").version == 2
