"""`evaluate --export` against mcordts/cityscapesScripts' own evaluation of the same files."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from afdcd.cli import run
from afdcd.commands import evaluate
from afdcd.data.catalog.datasets import CITYSCAPES
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.evaluate import main
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.models.weights import NetworkCard
from afdcd.tasks import segmentation_task

KEYS = ("frankfurt_000000_000294", "frankfurt_000001_000538", "munster_000173_000019")
SIZE = (24, 40)
# Instances need files of their own; every other default stays.
OFFICIAL = """
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as official
official.args.evalInstLevelScore = False
official.main()
"""
CARD = NetworkCard(
    model=ModelConfig(head="pspnet", encoder="mobilenetv2"),
    dataset="cityscapes",
    classes=CITYSCAPES.classes,
    palette=CITYSCAPES.palette,
    normalisation="imagenet",
)
Evaluate = Callable[..., int]


class Guess(nn.Module):
    """Mostly right, because the image says so, and never `train`."""

    classes = len(CITYSCAPES.classes)

    def forward(self, images: Tensor) -> Output:
        generator = torch.Generator().manual_seed(int(images.sum()))
        logits = torch.rand(1, self.classes, *SIZE, generator=generator)
        told = images[:, 0].long().clamp(max=self.classes - 1)
        logits += 0.5 * nn.functional.one_hot(told, self.classes).movedim(3, 1)
        logits[:, CITYSCAPES.classes.index("train")] = -1
        return Output(logits, None, {})


@pytest.fixture
def truth(tmp_path: Path) -> dict[str, np.ndarray]:
    """Three label files with ids 0..33, ignored ones among them, in the official layout."""
    rng = np.random.default_rng(0)
    ids = np.array([raw for raw in CITYSCAPES.raw_to_train if raw >= 0 and raw not in (28, 31)])
    labels = {}
    for key in KEYS:
        labels[key] = rng.choice(ids, SIZE).astype(np.uint8)
        folder = tmp_path / "cityscapes" / "gtFine" / "val" / key.partition("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels[key]).save(folder / f"{key}_gtFine_labelIds.png")
    return labels


@pytest.fixture
def verb(truth: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> Evaluate:
    def images(config: Any, root: str, split: str, *_: Any) -> Iterator[tuple[str, Tensor, Tensor]]:
        for key, raw in truth.items():
            train = np.vectorize(CITYSCAPES.raw_to_train.__getitem__)(raw)
            known = torch.from_numpy(train)[None]
            withheld = split in CITYSCAPES.unlabelled and config.protocol == "official"
            label = torch.full_like(known, IGNORE) if withheld else known
            yield key, known[:, None].float().expand(1, 3, *SIZE), label

    def call(*arguments: str) -> int:
        monkeypatch.setattr(evaluate, "fetch", lambda model: model)
        monkeypatch.setattr(evaluate, "load_network", lambda _: (Guess(), CARD))
        monkeypatch.setattr(segmentation_task, "evaluation_images", images)
        manifest = SimpleNamespace(dataset="cityscapes", own=None)
        monkeypatch.setattr(evaluate, "read_manifest", lambda *_: manifest)
        default = ["student.safetensors", "--data", "shards", "--device", "cpu"]
        return run(main, [*default, *arguments])

    return call


def test_scores_are_those_of_the_official_script_on_the_exported_files(
    verb: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "predictions"
    arguments = ["--protocol", "official", "--split", "val", "--export", str(folder), "--json"]
    assert verb(*arguments) == 0
    ours = json.loads(capsys.readouterr().out.splitlines()[-1])
    official = _official(tmp_path, folder)
    for name, value in ours["iou"].items():
        theirs = official["classScores"][name]
        assert math.isnan(theirs) if value is None else value == pytest.approx(theirs, abs=1e-12)
    assert ours["iou"]["train"] is None  # neither labelled nor predicted
    assert ours["iou"]["bus"] == 0.0  # predicted, labelled nowhere
    assert 0.1 < ours["miou"] < 0.9
    assert ours["miou"] == pytest.approx(official["averageScoreClasses"], abs=1e-12)


def test_withheld_labels_are_exported_and_never_scored(
    verb: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: dict[str, np.ndarray]
) -> None:
    folder = tmp_path / "submission"
    arguments = ["--protocol", "official", "--split", "test", "--export", str(folder), "--json"]
    assert verb(*arguments) == 0
    *text, last = capsys.readouterr().out.splitlines()
    assert text[-1] == (
        f"labels of this split are withheld; 3 predictions in {folder}, submit them at "
        "https://www.cityscapes-dataset.com/submit/"
    )
    assert not {"miou", "iou", "pixel_accuracy"} & json.loads(last).keys()
    assert "IoU" not in "".join(text)
    for key in KEYS:
        (file,) = folder.glob(f"{key}*.png")
        picture = Image.open(file)
        assert (picture.mode, picture.size) == ("L", SIZE[::-1])
        assert set(np.unique(picture)) <= set(CITYSCAPES.train_to_raw.values())


def test_withheld_labels_without_export_are_refused(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("--protocol", "official", "--split", "test") == 2
    assert "the labels of cityscapes/test are withheld" in capsys.readouterr().err


def test_dev_scores_its_test_rows_which_are_the_published_val_split(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("--split", "test", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["miou"] > 0


def _official(dataset: Path, predictions: Path) -> dict[str, Any]:
    environment = {
        **os.environ,
        "CITYSCAPES_DATASET": str(dataset / "cityscapes"),
        "CITYSCAPES_RESULTS": str(predictions),
        "CITYSCAPES_EXPORT_DIR": str(dataset),
    }
    subprocess.run(
        [sys.executable, "-c", OFFICIAL], env=environment, check=True, capture_output=True
    )
    return json.loads((dataset / "resultPixelLevelSemanticLabeling.json").read_text())
