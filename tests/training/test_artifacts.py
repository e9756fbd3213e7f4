"""What a finished run leaves: a student that needs nothing else, and a picture."""

import io
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from afdcd import storage
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.distillers.none import NoDistiller
from afdcd.models.zoo import SegmentationNetwork
from afdcd.training.artifacts import PANEL_FILE, STUDENT_FILE, load_from, save_panel, save_result
from afdcd.training.job import TEACHER
from afdcd.training.step import DistillationStep
from tests.examples import job, score
from tests.training.networks import CLASSES


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("data") / "shards")
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=1, val=9, test=1))
    return root


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_student_comes_back_with_its_card_from_path_or_uri(
    tmp_path: Path, shards: str, scheme: str
) -> None:
    changes = {"data__normalisation": "caffe", "data__root": shards}
    given = job(folder=f"{scheme}{tmp_path}/job", **changes)
    student = given.config.pair.student.build(CLASSES)
    save_result(given, _step(student), score(0.25))
    loaded, card = load_from(storage.join(given.folder, STUDENT_FILE))
    assert all(v.equal(loaded.state_dict()[n]) for n, v in student.state_dict().items())
    assert (card.miou, card.split, card.normalisation) == (0.25, "dev/val", "caffe")
    assert (card.classes, card.palette) == (SYNTHETIC.classes, SYNTHETIC.palette)
    assert card.parameters == sum(p.numel() for p in student.eval().parameters())
    assert card.gmacs is not None
    assert card.gmacs > 0
    assert card.fingerprint == given.identity


def test_student_without_a_score_is_kept_all_the_same(tmp_path: Path, shards: str) -> None:
    given = job(folder=str(tmp_path), data__root=shards)
    save_result(given, _step(given.config.pair.student.build(CLASSES)), score(math.nan))
    assert load_from(str(tmp_path / STUDENT_FILE))[1].miou is None


def test_panel_shows_rows_spread_over_the_split_and_leaves_the_mode(
    tmp_path: Path, shards: str
) -> None:
    changes = {"data__root": shards, "data__protocol": "official"}
    given = job(folder=str(tmp_path / "job"), **changes)
    student = given.config.pair.student.build(CLASSES)
    save_result(given, _step(student), score(0.1))
    student.train()
    sizes = []
    for teacher in (None, storage.join(given.folder, STUDENT_FILE)):
        save_panel(
            given.updated(inputs={} if teacher is None else {TEACHER: teacher}),
            student,
            torch.device("cpu"),
        )
        data = storage.read_bytes(storage.join(given.folder, PANEL_FILE))
        sizes.append(Image.open(io.BytesIO(data)).size)
    (narrow, height), (wide, same_height) = sizes
    assert student.training
    assert height == same_height >= 4 * 64
    assert wide > narrow  # the teacher's column


def _step(student: SegmentationNetwork) -> DistillationStep:
    return DistillationStep(student, NoDistiller(), 0.4)
