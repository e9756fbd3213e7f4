"""What is written beside a registered student, and the order they are registered in."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from afdcd import storage
from afdcd.data.catalog.datasets import COCO_STUFF, SYNTHETIC
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.data.train.config import DataConfig
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, save_network
from afdcd.search import winners
from afdcd.search.candidates import Candidate, Ran
from afdcd.search.cluster import Cluster
from afdcd.search.described import gain_over
from afdcd.search.proof import CHAMPION, PLAIN, Plan, Proof
from afdcd.search.rows import RunKey
from afdcd.search.winners import Registered, register_best, save_pictures
from afdcd.tasks.score import Score
from afdcd.tracking.records import StudyRecord
from afdcd.tracking.registry import Version
from afdcd.training.artifacts import load_from, trouble_with
from tests.examples import trial

MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)


STUDY = StudyRecord("5d1c0b7e-0000-4000-8000-000000000001", "street")


def score(value: float, iou: dict[str, float] | None = None) -> Score:
    parts = {f"iou/{name}": share for name, share in (iou or {}).items()}
    return Score(name="miou", value=value, parts={"pixel_accuracy": 0.8, **parts})


def candidate(folder: Path, number: int, value: float, **changes: Any) -> Candidate:
    card = NetworkCard(
        model=MODEL,
        dataset="synthetic",
        classes=SYNTHETIC.classes,
        palette=SYNTHETIC.palette,
        normalisation="imagenet",
        split="dev/val",
        parameters=340_000,
        gmacs=0.5,
    )
    (folder / str(number)).mkdir()
    save_network(folder / str(number) / "student.safetensors", MODEL.build(8), card)
    return Candidate(
        number=number,
        title=f"{number} afdcd",
        config=trial(**changes),
        identity="",
        ran=Ran(0, str(folder / str(number)), f"run{number}"),
        score=score(value),
        settings={"lr": 0.1},
        seeds={},
        teacher=None,
    )


class Registry:
    """What the winners ask of MLflow, written down."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.versions: list[Version] = []
        self.pointed: list[tuple[Any, ...]] = []
        self.withdrawn: list[tuple[str, str | None]] = []
        self.notes: list[Any] = []
        self.files: list[Any] = []
        self.owner: str | None = None
        monkeypatch.setattr(winners, "register", self.register)
        monkeypatch.setattr(winners, "point", self.point)
        monkeypatch.setattr(winners, "withdraw", self.withdraw)
        monkeypatch.setattr(winners, "model_name", self.model_name)
        self.tracker: Any = SimpleNamespace(
            client=None,
            commit="abc",
            note=lambda *a: self.notes.append(a),
            attach=lambda *a: self.files.append(a),
        )

    def register(self, client: None, version: Version, weights: bytes) -> str:
        self.versions.append(version)
        return str(len(self.versions))

    def point(self, client: None, *what: Any) -> str:
        self.pointed.append(what)
        return "it stays" if self.owner else ""

    def withdraw(self, client: None, name: str, alias: str, study: str, only: Any = None) -> None:
        self.withdrawn.append((alias, only))

    def model_name(self, client: None, name: str, study: str, asked: bool) -> str:
        return name if asked or self.owner is None else f"{name}-{study[:8]}"

    def best(self, *candidates: Candidate, **changes: Any) -> Registered:
        values: dict[str, Any] = {"model": None, "plain": {}, "data": trial().data, **changes}
        return register_best(
            STUDY,
            values["model"],
            list(candidates),
            values["plain"],
            self.tracker,
            Cluster(2, 0, 1),
            values["data"],
            champion_anyway=values.get("anyway", False),
        )


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(winners, "score_networks", lambda w, *_: [score(0.4) for _ in w])
    return Registry(monkeypatch)


def test_best_is_champion_and_each_version_carries_its_evidence(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    iou = {"sky": 0.9, "car": math.nan}

    def score_networks(weights: list[str], data: DataConfig, role: str, *_: object) -> list[Score]:
        asked.append((weights, role))
        return [score(0.41, iou), score(0.52, iou)]

    monkeypatch.setattr(winners, "score_networks", score_networks)
    candidates = [candidate(tmp_path, 3, 0.5), candidate(tmp_path, 1, 0.4)]
    done = registry.best(*candidates)

    assert (done.name, done.notes) == ("street", [])
    assert [[s.value for s in tests.values()] for tests in done.tests] == [[0.41], [0.52]]
    assert asked == [([c.ran.weights for c in candidates], "test")]
    # The test score reports; it does not reorder what the validation score selected.
    assert [v.run for v in registry.versions] == ["run3", "run1"]
    assert registry.pointed == [("street", "candidate", "1", STUDY.id)]
    assert registry.notes == [("run3", "test_miou", 0.41), ("run1", "test_miou", 0.52)]
    run, name, data = registry.files[0]
    assert (run, name, json.loads(data)) == ("run3", "test_iou.json", {"sky": 0.9, "car": None})
    version = registry.versions[0]
    assert version.study == STUDY.id
    tags = version.tags
    assert (tags["miou"], tags["test_miou"], tags["trial"]) == ("0.5000", "0.4100", "3")
    assert (tags["parameters"], tags["gflops"], tags["git_commit"]) == ("340000", "1.000", "abc")
    text = version.description
    assert "| mIoU on dev/val (selected by) | 50.00 % |" in text
    assert "| mIoU on test (never used to select) | 41.00 % |" in text
    assert "| sky | 90.00 % |" in text
    assert "| car | - |" in text
    assert "lr = 0.1" in text
    assert "one seed, unproven; differences below about 1 point may be seed noise" in text


def test_the_weights_of_each_are_fetched_once(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = [candidate(tmp_path, 3, 0.5), candidate(tmp_path, 1, 0.4)]
    fetched, read = [], storage.read_bytes

    def counted(uri: str) -> bytes:
        fetched.append(uri)
        return read(uri)

    monkeypatch.setattr(storage, "read_bytes", counted)
    registry.best(*candidates)
    assert fetched == [one.ran.weights for one in candidates]


def test_a_description_begins_with_the_answer(tmp_path: Path, registry: Registry) -> None:
    plain = {"pspnet-lcnet_050": score(0.4488)}
    registry.best(
        candidate(tmp_path, 1, 0.4649),
        candidate(tmp_path, 0, 0.4488, distiller={"method": "none"}),
        plain=plain,
    )
    taught, alone = (v.description.splitlines()[0] for v in registry.versions)
    assert taught == (
        "mIoU 46.49 %, afdcd, unproven (+1.61 over the plain student, one seed each), "
        "0.34 M parameters, pspnet-resnet10t > pspnet-lcnet_050"
    )
    assert "afdcd" in taught[:80]
    assert alone.startswith("mIoU 44.88 %, none, unproven, 0.34 M parameters, ")


def proof_of(found: dict[int, float], plain: dict[int, float] | None = None) -> Proof:
    """Of a student and the plain one, by the scores of their seeds."""
    arms = {CHAMPION: found, **({PLAIN: plain} if plain else {})}
    runs: Any = {
        arm: {
            seed: SimpleNamespace(value=value, device_hours=0.5, run=RunKey(len(arm), seed))
            for seed, value in scores.items()
        }
        for arm, scores in arms.items()
    }
    return Proof(Plan(1, dict.fromkeys(arms, trial()), tuple(found), {}), runs)


def proven(folder: Path, proof: Proof, seed: int = 1) -> Candidate:
    """The weights of its first seed, with two further runs beside them."""
    first, *rest = (candidate(folder, number, 0.5) for number in (1, 2, 3))
    ran = [replace(one.ran, seed=seed + place) for place, one in enumerate((first, *rest))]
    return replace(first, ran=ran[0], proof=proof, others=tuple(ran[1:]))


BETTER = {1: 0.50, 2: 0.53, 3: 0.47}
ALONE = {1: 0.48, 2: 0.505, 3: 0.452}


def test_one_that_is_proven_better_is_champion_and_says_by_how_much(
    tmp_path: Path, registry: Registry
) -> None:
    done = registry.best(proven(tmp_path, proof_of(BETTER, ALONE)))
    assert done.alias == "champion"
    assert registry.pointed == [("street", "champion", "1", STUDY.id)]
    assert registry.withdrawn == [("candidate", None)]
    (version,) = registry.versions
    assert version.description.startswith(
        "mIoU 50.00 %, afdcd, better than the plain student: +2.10 points [+1.20, +3.00] over 3 "
        "seeds, 0.34 M parameters, "
    )
    assert version.run == "run1"
    tags = version.tags
    assert (tags["verdict"], tags["proof_seeds"], tags["seed"]) == ("better", "3", "1")
    assert (tags["proof_mean"], tags["proof_sd"]) == ("0.5000", "0.0300")
    assert (tags["gain"], tags["gain_low"], tags["gain_high"]) == ("0.0210", "0.0120", "0.0300")
    assert (
        "| best setting found (trial 8) | 50.00 ± 3.00 % over 3 seeds |  |" in version.description
    )
    assert "| seed | 1 (the first proof seed, fixed before it ran) |" in version.description


@pytest.mark.parametrize(
    ("plain", "verdict"),
    [
        (dict.fromkeys(BETTER, 0.50), "not distinguishable"),
        ({seed: value + 0.02 for seed, value in BETTER.items()}, "worse"),
        ({1: 0.1}, "unproven"),  # the others were lost
    ],
)
def test_one_that_is_not_is_a_candidate_unless_a_person_wants_it(
    tmp_path: Path, registry: Registry, plain: dict[int, float], verdict: str
) -> None:
    student = proven(tmp_path, proof_of(BETTER, plain))
    assert registry.best(student).alias == "candidate"
    assert registry.withdrawn == [
        ("champion", "1")
    ]  # of this version only: an older one was proven
    assert registry.versions[0].tags["verdict"] == verdict
    assert registry.best(student, anyway=True).alias == "champion"
    assert verdict in registry.versions[1].description.splitlines()[0]


def test_all_seeds_of_what_is_registered_are_scored_on_test(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def score_networks(weights: list[str], *_: object) -> list[Score]:
        asked.extend(weights)
        return [score(value) for value in (0.40, 0.43, 0.37, 0.30)]

    monkeypatch.setattr(winners, "score_networks", score_networks)
    student = proven(tmp_path, proof_of(BETTER, ALONE))
    runner_up = candidate(tmp_path, 4, 0.4)
    done = registry.best(student, runner_up)
    assert [Path(weights).parent.name for weights in asked] == ["1", "2", "3", "4"]
    assert [{seed: s.value for seed, s in tests.items()} for tests in done.tests] == [
        {1: 0.40, 2: 0.43, 3: 0.37},
        {0: 0.30},
    ]
    assert [note[0] for note in registry.notes] == ["run1", "run2", "run3", "run4"]
    text, other = (version.description for version in registry.versions)
    assert "| mIoU on test (never used to select) | 40.00 % |" in text
    assert "| mIoU on test, all proof seeds | 40.00 ± 3.00 % over 3 seeds |" in text
    assert "all proof seeds" not in other


def test_other_seeds_of_the_setting_are_told_beside_the_score(
    tmp_path: Path, registry: Registry
) -> None:
    again = replace(candidate(tmp_path, 1, 0.5), seeds={2: score(0.47), 1: score(0.53)})
    registry.best(again, candidate(tmp_path, 2, 0.4))
    several, one = (version.description for version in registry.versions)
    assert "| seed | 0 (other seeds of this setting: 1: 53.00 %, 2: 47.00 %) |" in several
    assert "| seed | 0 (one seed, unproven; " in one


def test_no_gain_is_claimed_over_a_student_that_was_not_trained(
    tmp_path: Path, registry: Registry
) -> None:
    registry.best(candidate(tmp_path, 1, 0.5), plain={"pspnet-another": score(0.1)})
    assert registry.versions[0].description.startswith("mIoU 50.00 %, afdcd, unproven, 0.34 M")


def test_the_model_says_what_it_is_and_how_to_use_it(tmp_path: Path, registry: Registry) -> None:
    registry.best(candidate(tmp_path, 1, 0.5))
    about = registry.versions[0].about
    for word in ("street", STUDY.id, "synthetic", "afdcd predict models:/street@candidate"):
        assert word in about


def test_a_name_that_is_taken_and_an_alias_that_stays_are_told(
    tmp_path: Path, registry: Registry
) -> None:
    registry.owner = "another study"
    done = registry.best(candidate(tmp_path, 1, 0.5))
    assert done.name == "street-5d1c0b7e"
    assert done.notes[0].startswith("registered as street-5d1c0b7e: the model street belongs to")
    assert "study.model: street" in done.notes[0]
    assert done.notes[1] == "it stays"
    assert registry.best(candidate(tmp_path, 2, 0.5), model="shared").name == "shared"


def test_without_a_labelled_split_nothing_is_scored_and_the_version_says_why(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winners, "score_networks", None)  # would fail if it were called
    data = DataConfig(dataset="voc", root="shards", protocol="official", crop=(64, 64))
    best = candidate(tmp_path, 3, 0.5)
    best = replace(best, config=best.config.updated(data=data))
    assert registry.best(best, data=data).tests == [{}]
    (version,) = registry.versions
    assert version.tags["miou"] == "0.5000"
    assert "test_miou" not in version.tags
    assert "on test" not in version.description
    assert "nan" not in version.description
    assert "val selects and no labelled split is left to report; use protocol dev" in (
        version.description
    )


def test_no_key_of_a_store_is_in_a_description(tmp_path: Path, registry: Registry) -> None:
    weights = "s3://KEY:SECRET@bucket/teacher.safetensors"
    secret = candidate(tmp_path, 1, 0.5)
    registry.best(replace(secret, settings={"pair.teacher.weights": weights}))
    assert "SECRET" not in registry.versions[0].description


def test_description_of_171_classes_fits_the_registry(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its column holds 5000 characters; a server on Postgres refuses more."""
    iou = {name: place / 171 for place, name in enumerate(COCO_STUFF.classes)}
    iou["person"] = math.nan
    monkeypatch.setattr(winners, "score_networks", lambda *_: [score(0.4, iou)])
    registry.best(candidate(tmp_path, 3, 0.5))
    text = registry.versions[0].description
    assert len(text) < 5000
    assert "| bicycle | 0.58 % |" in text
    assert f"| {COCO_STUFF.classes[170]} | 99.42 % |" in text
    assert "| 131 more in test_iou.json of the run | |" in text
    assert "person" not in text


def test_pictures_to_try_are_whole_test_images(tmp_path: Path) -> None:
    root = str(tmp_path / "shards")
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=1, val=1, test=5))
    data = DataConfig(dataset="synthetic", root=root, protocol="official", crop=(32, 32))
    save_pictures(str(tmp_path / "pictures"), data, count=2)
    files = sorted((tmp_path / "pictures").iterdir())
    assert [file.name for file in files] == ["test0000_0.png", "test0000_3.png"]
    assert storage.read_bytes(str(files[0])).startswith(b"\x89PNG")


def test_pictures_to_try_are_of_the_split_that_selects_where_none_reports(tmp_path: Path) -> None:
    asked = []

    def rows(root: str, dataset: str, protocol: str, role: str) -> list[Any]:
        asked.append((dataset, protocol, role))
        return [("a/key", np.zeros((4, 4, 3), dtype=np.uint8), None)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winners, "open_split", rows)
        for protocol in ("official", "dev"):
            data = DataConfig(dataset="ade20k", root="shards", protocol=protocol, crop=(32, 32))
            save_pictures(str(tmp_path / protocol), data)
    assert asked == [("ade20k", "official", "val"), ("ade20k", "dev", "test")]
    assert (tmp_path / "official" / "key.png").exists()


def test_weights_that_are_not_the_runs_own_are_told(tmp_path: Path) -> None:
    own = candidate(tmp_path, 1, 0.5)
    network, card = load_from(own.ran.weights)
    save_network(own.ran.weights, network, card.updated(fingerprint="mine"))
    assert trouble_with(own.ran.weights, "mine") is None
    assert "holds the network of another run" in str(trouble_with(own.ran.weights, "other"))
    file = Path(own.ran.weights)
    file.write_bytes(file.read_bytes()[:100])
    assert "is damaged" in str(trouble_with(own.ran.weights, "mine"))
    file.unlink()
    assert "is gone" in str(trouble_with(own.ran.weights, "mine"))


@pytest.mark.parametrize(("up", "said"), [(True, "-2.00"), (False, "+2.00")])
def test_a_gain_is_one_for_the_better_whatever_is_better(up: bool, said: str) -> None:
    score, alone = (Score(name="x", value=v, higher_is_better=up) for v in (0.30, 0.32))
    candidate: Any = SimpleNamespace(score=score, config=trial())
    assert gain_over(candidate, alone) == f" ({said} over the plain student, one seed each)"
