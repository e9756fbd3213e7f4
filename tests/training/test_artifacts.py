"""What a finished run leaves: a student that needs nothing else, and a picture."""

import io
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from afdcd import storage
from afdcd.data.catalog import SYNTHETIC
from afdcd.data.synthetic import SyntheticConfig, prepare_synthetic
from afdcd.training.artifacts import PANEL_FILE, STUDENT_FILE, load_from, save_panel, save_student
from tests.examples import job
from tests.training.networks import CLASSES


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_student_comes_back_with_its_card_from_path_or_uri(tmp_path: Path, scheme: str) -> None:
    given = job(folder=f"{scheme}{tmp_path}/job", data__normalisation="caffe")
    student = given.config.pair.student.build(CLASSES)
    save_student(given, student, 0.25)
    loaded, card = load_from(storage.join(given.folder, STUDENT_FILE))
    assert all(v.equal(loaded.state_dict()[n]) for n, v in student.state_dict().items())
    assert (card.miou, card.split, card.normalisation) == (0.25, "dev/val", "caffe")
    assert (card.classes, card.palette) == (SYNTHETIC.classes, SYNTHETIC.palette)
    assert card.parameters == sum(p.numel() for p in student.eval().parameters())
    assert card.gmacs is not None
    assert card.gmacs > 0


def test_student_without_a_score_is_kept_all_the_same(tmp_path: Path) -> None:
    given = job(folder=str(tmp_path))
    save_student(given, given.config.pair.student.build(CLASSES), math.nan)
    assert load_from(str(tmp_path / STUDENT_FILE))[1].miou is None


def test_panel_shows_rows_spread_over_the_split_and_leaves_the_mode(tmp_path: Path) -> None:
    root = str(tmp_path / "shards")
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=1, val=9, test=1))
    changes = {"data__root": root, "data__protocol": "official"}
    given = job(folder=str(tmp_path / "job"), **changes)
    student = given.config.pair.student.build(CLASSES).train()
    sizes = {}
    for teacher in (None, given.config.pair.student.build(CLASSES).eval()):
        save_panel(given, student, teacher, torch.device("cpu"))
        data = storage.read_bytes(storage.join(given.folder, PANEL_FILE))
        sizes[teacher is None] = Image.open(io.BytesIO(data)).size
    assert student.training
    assert sizes[True][1] >= 4 * 64
    assert sizes[True][1] == sizes[False][1]
