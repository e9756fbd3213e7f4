"""What is written beside a registered student, and the order they are registered in."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest

from afdcd import storage
from afdcd.data.catalog.datasets import COCO_STUFF, SYNTHETIC
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.data.train.config import DataConfig
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, save_network
from afdcd.search import winners
from afdcd.search.cluster import Cluster
from afdcd.search.score_networks import Score
from afdcd.search.winners import Candidate, register_best, save_pictures
from afdcd.tracking.registry import Version
from tests.examples import trial

MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)


def candidate(folder: Path, number: int, miou: float) -> Candidate:
    card = NetworkCard(
        model=MODEL,
        dataset="synthetic",
        classes=SYNTHETIC.classes,
        palette=SYNTHETIC.palette,
        normalisation="imagenet",
        split="dev/val",
        parameters=1234,
        gmacs=0.5,
    )
    (folder / str(number)).mkdir()
    save_network(folder / str(number) / "student.safetensors", MODEL.build(8), card)
    frozen = optuna.trial.create_trial(
        value=miou,
        params={"lr": 0.1},
        distributions={"lr": optuna.distributions.FloatDistribution(0, 1)},
    )
    frozen.number = number
    return Candidate(frozen, trial(), str(folder / str(number)), f"run{number}", None)


def test_best_is_champion_and_each_version_carries_its_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[Version] = []
    noted: list[Any] = []
    asked: list[Any] = []
    iou = {"sky": 0.9, "car": math.nan}

    def score_networks(weights: list[str], data: DataConfig, role: str, *_: object) -> list[Score]:
        asked.append((weights, role))
        return [Score(0.41, 0.8, iou), Score(0.52, 0.8, iou)]

    monkeypatch.setattr(winners, "score_networks", score_networks)
    monkeypatch.setattr(winners, "register", lambda client, version, _: registered.append(version))
    attached: list[Any] = []
    tracker: Any = SimpleNamespace(
        client=None,
        commit="abc",
        note=lambda *a: noted.append(a),
        attach=lambda *a: attached.append(a),
    )
    candidates = [candidate(tmp_path, 3, 0.5), candidate(tmp_path, 1, 0.4)]
    register_best("street", candidates, tracker, Cluster(2, 0, 1), trial().data)

    assert asked == [([c.weights for c in candidates], "test")]
    # The test score reports; it does not reorder what the validation score selected.
    assert [(v.run, v.aliases) for v in registered] == [("run3", ("champion",)), ("run1", ())]
    assert noted == [("run3", "test_miou", 0.41), ("run1", "test_miou", 0.52)]
    run, name, data = attached[0]
    assert (run, name, json.loads(data)) == ("run3", "test_iou.json", {"sky": 0.9, "car": None})
    tags = registered[0].tags
    assert (tags["miou"], tags["test_miou"], tags["trial"]) == ("0.5000", "0.4100", "3")
    assert (tags["parameters"], tags["gflops"], tags["git_commit"]) == ("1234", "1.000", "abc")
    text = registered[0].description
    assert "| mIoU on dev/val (selected by) | 50.00 % |" in text
    assert "| mIoU on test (never used to select) | 41.00 % |" in text
    assert "| sky | 90.00 % |" in text
    assert "| car | - |" in text
    assert "lr = 0.1" in text


def test_without_a_labelled_split_nothing_is_scored_and_the_version_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[Version] = []
    monkeypatch.setattr(winners, "score_networks", None)  # would fail if it were called
    monkeypatch.setattr(winners, "register", lambda client, version, _: registered.append(version))
    tracker: Any = SimpleNamespace(client=None, commit="abc")
    data = DataConfig(dataset="voc", root="shards", protocol="official", crop=(64, 64))
    best = candidate(tmp_path, 3, 0.5)
    best = replace(best, config=best.config.updated(data=data))
    assert register_best("voc", [best], tracker, Cluster(2, 0, 1), data) == [None]
    (version,) = registered
    assert version.aliases == ("champion",)
    assert version.tags["miou"] == "0.5000"
    assert "test_miou" not in version.tags
    assert "on test" not in version.description
    assert "nan" not in version.description
    assert "val selects and no labelled split is left to report; use protocol dev" in (
        version.description
    )


def test_description_of_171_classes_fits_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its column holds 5000 characters; a server on Postgres refuses more."""
    iou = {name: place / 171 for place, name in enumerate(COCO_STUFF.classes)}
    iou["person"] = math.nan
    registered: list[Version] = []
    monkeypatch.setattr(winners, "score_networks", lambda *_: [Score(0.4, 0.8, iou)])
    monkeypatch.setattr(winners, "register", lambda client, version, _: registered.append(version))
    tracker: Any = SimpleNamespace(client=None, commit="", note=print, attach=print)
    best = candidate(tmp_path, 3, 0.5)
    register_best("coco", [best], tracker, Cluster(2, 0, 1), trial().data)
    text = registered[0].description
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
