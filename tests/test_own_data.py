"""From pictures and labels to a student with the person's own class names, by the real commands."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow.artifacts import download_artifacts
from PIL import Image

from afdcd import evaluate, init, predict
from afdcd.config import UserError
from afdcd.models.weights import load_network
from afdcd.prepare import main as prepare
from tests import own_sets
from tests.own_sets import NAMES, draw_pictures
from tests.running import Study, finish

SPACE = """
data: {dataset: mine, root: ROOT, protocol: PROTOCOL, crop: [32, 32], scale: [0.7, 1.0]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:lcnet_050"}
    train: {iterations: 4, validate_every: 4, batch: 4, lr: 0.01}
distiller: {choice: [{method: none}, {method: kd}]}
training: {iterations: 6, validate_every: 3, batch: 4, lr: 0.01, unlabelled_share: SHARE}
study:
  trials: 2
  grace: null
  proof: {seeds: 0}
  enqueue: [{distiller: {method: none}}, {distiller: {method: kd}}]
"""
FORMS = {"coco": own_sets.coco, "folders": own_sets.mask_folders, "colours": own_sets.colour_table}
TIMEOUT = pytest.mark.timeout(400)


def _studied(
    form: Callable[[Path], list[str]], folder: Path, share: str, protocol: str = "dev"
) -> tuple[Study, str, str]:
    """The study, the prepared root, and the student's file."""
    source, root, more = folder / "source", folder / "mine", folder / "more"
    words = form(source)
    if share != "null":
        draw_pictures(more, [f"extra{number}" for number in range(50, 56)])
        words += ["--unlabelled", str(more)]
    assert (
        prepare(["custom", "--source", str(source), "--out", str(root), "--workers", "1", *words])
        == 0
    )
    text = SPACE.replace("ROOT", str(root)).replace("PROTOCOL", protocol).replace("SHARE", share)
    (folder / "study").mkdir()
    study = Study(folder / "study", text)
    finish(study.start())
    version = study.client.search_model_versions("name = 'tiny'")[0]
    path = Path(download_artifacts(version.source, tracking_uri=study.client.tracking_uri))
    file = path if path.is_file() else next(path.rglob("*.safetensors"))
    return study, str(root), str(file)


def _check_student(file: str, root: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    card = load_network(file)[1]
    assert set(card.classes) == set(NAMES)
    assert card.dataset == "mine"
    draw_pictures(folder / "photos", ["street"])
    out = folder / "predictions"
    assert predict.main([file, str(folder / "photos"), "--out", str(out)]) == 0
    mask = Image.open(out / "street.png")
    assert mask.size == (64, 48)
    assert np.asarray(mask).max() < len(NAMES)
    palette = np.array(mask.getpalette()).reshape(-1, 3)[: len(NAMES)]
    assert [tuple(colour) for colour in palette.tolist()] == list(card.palette)
    capsys.readouterr()
    assert evaluate.main([file, "--data", root, "--split", "val", "--json"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in NAMES)
    assert json.loads(printed.splitlines()[-1])["dataset"] == "mine"


@pytest.mark.xdist_group("ray")
@TIMEOUT
def test_annotations_and_unlabelled_pictures_become_a_student(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, root, file = _studied(own_sets.coco, tmp_path, "{choice: [0.25, 0.5]}")
    runs = study.runs()
    values = {name: run for name, run in runs.items() if name.startswith("trial-")}
    assert len(values) == 2
    assert {run.data.params["training.unlabelled_share"] for run in values.values()} <= {
        "0.25",
        "0.5",
    }
    listed = next(iter(values.values())).inputs.dataset_inputs[0].dataset
    profile = json.loads(listed.profile)
    assert (profile["classes"], profile["rows_unlabelled"]) == (3, 6)
    assert (profile["class_names"], profile["split"]) == ([*NAMES], "as the set says")
    assert listed.name == "mine"
    _check_student(file, root, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@TIMEOUT
@pytest.mark.parametrize("form", ["folders", "colours"])
def test_other_forms_become_a_student(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, root, file = _studied(FORMS[form], tmp_path, "null")
    _check_student(file, root, tmp_path, capsys)


def test_init_writes_a_space_for_the_set_and_the_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own_sets.prepare_own(tmp_path, "drone")
    out = tmp_path / "drone.yaml"
    words = [
        "--data",
        root,
        "--student",
        "pspnet/timm:lcnet_050",
        "--teacher",
        "pspnet/timm:regnetx_002",
    ]
    assert init.main([*words, "--out", str(out), "--cluster", "8xH100"]) == 0
    printed = capsys.readouterr().out
    assert "3 classes" in printed
    assert "GPU" in printed
    text = out.read_text()
    assert "dataset: drone" in text
    assert "crop: [48, 64]" in text
    for name in NAMES:
        assert f"#   {name}" in text
    assert "unlabelled_share" not in text
    with pytest.raises(UserError, match="is there already"):
        init.main([*words, "--out", str(out)])


def test_init_lets_the_search_find_how_much_unlabelled_pictures_help(tmp_path: Path) -> None:
    root = own_sets.prepare_own(tmp_path, "drone", unlabelled=2)
    out = tmp_path / "drone.yaml"
    words = [
        "--data",
        root,
        "--student",
        "pspnet/timm:lcnet_050",
        "--teacher",
        "pspnet/timm:lcnet_050",
    ]
    assert init.main([*words, "--out", str(out), "--cluster", "2xCPU"]) == 0
    assert out.read_text().count("unlabelled_share: {uniform: [0.0, 0.75]}") == 1


@pytest.mark.parametrize(
    ("student", "told"),
    [("resnet18", "--student 'resnet18': expected HEAD/ENCODER"), ("pspnet/resnet19", "resnet19")],
)
def test_init_leaves_no_file_where_a_network_is_none(
    student: str, told: str, tmp_path: Path
) -> None:
    root = own_sets.prepare_own(tmp_path, "drone")
    out = tmp_path / "drone.yaml"
    with pytest.raises(UserError, match=told):
        init.main(
            [
                "--data",
                root,
                "--student",
                student,
                "--teacher",
                "pspnet/resnet18",
                "--out",
                str(out),
            ]
        )
    assert not out.exists()
