"""Model versions in a real registry: registered, found, described anew, fetched and loaded."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from afdcd.config import UserError
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, load_network, save_network
from afdcd.tracking.registry import (
    Version,
    fetch,
    find,
    model_name,
    point,
    register,
    withdraw,
)
from afdcd.tracking.tracker import Tracker
from tests.tracking.made import STUDY, record
from tests.tracking.test_tracker import Proxy

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
    tracker.update(record("nowhere", name))
    values: dict[str, Any] = {
        "name": "street",
        "run": tracker.run_of(name, STUDY),
        "study": STUDY,
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


OTHER = "99999999-0000-4000-8000-000000000002"


def champion(tracker: Tracker, name: str = "street") -> str:
    return str(tracker.client.get_model_version_by_alias(name, "champion").version)


def state(tracker: Tracker, name: str) -> dict[str, Any]:
    """Everything that a person sees of a registered model, and the bytes of every version."""
    model = tracker.client.get_registered_model(name)
    versions = tracker.client.search_model_versions(f"name = '{name}'")
    return {
        "model": (dict(model.tags), model.description),
        "aliases": {alias: str(number) for alias, number in model.aliases.items()},
        "versions": [
            (str(v.version), v.run_id, dict(v.tags), v.description, content(name, v.version))
            for v in sorted(versions, key=lambda v: int(v.version))
        ],
    }


def content(name: str, number: Any) -> bytes:
    return fetch(f"models:/{name}/{number}").read_bytes()


def test_a_version_is_of_one_file_and_never_relabelled_for_another(
    tracker: Tracker, weights: bytes
) -> None:
    """C1: a version once said `miou 0.80` over weights of another run."""
    first = version(tracker)
    register(tracker.client, first, weights)
    changed = weights + b" "
    again = replace(first, tags={"miou": "0.8000"}, description="other weights")
    assert register(tracker.client, again, changed) == "2"
    one, two = (tracker.client.get_model_version("street", n) for n in ("1", "2"))
    assert (one.tags["miou"], one.description) == ("0.5000", "a student")
    assert one.tags["sha256"] == hashlib.sha256(weights).hexdigest()
    assert two.tags["sha256"] == hashlib.sha256(changed).hexdigest()
    assert (content("street", 1), content("street", 2)) == (weights, changed)


def test_a_study_of_the_same_name_registers_under_a_name_of_its_own(
    tracker: Tracker, weights: bytes
) -> None:
    assert model_name(tracker.client, "street", STUDY, asked=False) == "street"
    register(tracker.client, version(tracker), weights)
    assert model_name(tracker.client, "street", STUDY, asked=False) == "street"
    assert model_name(tracker.client, "street", OTHER, asked=False) == "street-99999999"
    assert model_name(tracker.client, "street", OTHER, asked=True) == "street"
    tracker.client.create_registered_model("old")  # by an afdcd that named no study
    assert model_name(tracker.client, "old", STUDY, asked=False) == f"old-{STUDY[:8]}"


def test_the_model_says_what_it_is_from_the_first_moment(tracker: Tracker, weights: bytes) -> None:
    register(tracker.client, version(tracker, about="students of street"), weights)
    model = tracker.client.get_registered_model("street")
    assert model.description == "students of street"
    assert model.tags["afdcd.study"] == STUDY


def test_the_alias_follows_a_better_student_of_the_same_study(
    tracker: Tracker, weights: bytes
) -> None:
    register(tracker.client, version(tracker), weights)
    register(tracker.client, version(tracker, "trial-0001"), weights)
    assert champion(tracker) == "2"
    assert tracker.client.get_registered_model("street").tags["afdcd.alias.champion"] == "2"


def test_an_alias_that_a_person_moved_stays_and_that_is_said(
    tracker: Tracker, weights: bytes
) -> None:
    first, second = version(tracker), version(tracker, "trial-0001")
    register(tracker.client, first, weights)
    register(tracker.client, second, weights)
    tracker.client.set_registered_model_alias("street", "champion", "1")
    register(tracker.client, second, weights)  # the finished study is run again
    assert champion(tracker) == "1"
    said = point(tracker.client, "street", "champion", "2", STUDY)
    assert said.startswith("models:/street@champion stays at version 1, where a person put it")


def test_an_alias_of_another_study_stays_and_that_is_said(tracker: Tracker, weights: bytes) -> None:
    register(tracker.client, version(tracker), weights)
    register(tracker.client, version(tracker, "trial-0001", study=OTHER), weights)
    assert champion(tracker) == "1"
    said = point(tracker.client, "street", "champion", "2", OTHER)
    assert "stays at version 1, which another study or a person registered" in said


def test_an_alias_is_withdrawn_from_where_this_study_set_it(
    tracker: Tracker, weights: bytes
) -> None:
    client = tracker.client
    register(client, version(tracker), weights)
    withdraw(client, "street", "champion", STUDY, only="2")
    withdraw(client, "street", "champion", OTHER)
    withdraw(client, "street", "candidate", STUDY)  # there is none
    assert champion(tracker) == "1"
    withdraw(client, "street", "champion", STUDY, only="1")
    model = client.get_registered_model("street")
    assert not model.aliases and not [tag for tag in model.tags if tag.startswith("afdcd.alias")]


def test_an_alias_that_a_person_moved_is_not_withdrawn(tracker: Tracker, weights: bytes) -> None:
    register(tracker.client, version(tracker), weights)
    register(tracker.client, version(tracker, "trial-0001", aliases=()), weights + b" ")
    tracker.client.set_registered_model_alias("street", "champion", "2")
    withdraw(tracker.client, "street", "champion", STUDY)
    assert champion(tracker) == "2"


class Killed(BaseException):
    """Nothing can be done about it, as about SIGKILL."""


def test_registering_that_was_cut_short_anywhere_ends_in_the_same_state(
    tracker: Tracker, weights: bytes
) -> None:
    """C3: `@champion` stayed on the older, worse version for ever."""
    calls: list[str] = []
    proxy = Proxy(tracker.client)
    proxy.before = calls.append
    first = version(tracker, about="about", aliases=("candidate",))
    better = version(tracker, "trial-0001", about="about")

    def register_all(name: str, begin: int = 0) -> None:
        """A study registers its best, is extended, and registers one that is proven."""
        given = [(first, weights), (better, weights + b" ")]
        for each, content in given[begin:]:
            register(proxy, replace(each, name=name), content)
            if each is better:
                withdraw(proxy, name, "candidate", STUDY)
            ends.append(len(calls))

    ends: list[int] = []
    register_all("whole")
    boundary, wanted = ends[0], state(tracker, "whole")
    assert wanted["aliases"] == {"champion": "2"}
    assert len(calls) > 12
    for cut in range(len(calls)):
        seen: list[str] = []

        def die(call: str, cut: int = cut, seen: list[str] = seen) -> None:
            seen.append(call)
            if len(seen) == cut + 1:
                raise Killed

        proxy.before = die
        with pytest.raises(Killed):
            register_all(f"cut-{cut}")
        proxy.mend()
        register_all(f"cut-{cut}", begin=int(cut >= boundary))
        assert state(tracker, f"cut-{cut}") == wanted, (cut, calls[cut])
