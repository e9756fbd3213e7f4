"""Bad input, end to end: each case is one that a person can mend, told in one line or a few.

Every line says what, where and what to do; the exit status is 2; no traceback is ever shown.
"""

import contextlib
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from afdcd import evaluate, predict, prepare, train, tune
from afdcd.cli import run
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, save_network
from afdcd.search import cluster, run_study
from tests.search.test_bad_space import SPACE

VERBS = {"tune": tune, "train": train, "prepare": prepare, "evaluate": evaluate, "predict": predict}
MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050")
CARD = NetworkCard(
    model=MODEL,
    dataset="synthetic",
    classes=SYNTHETIC.classes,
    palette=SYNTHETIC.palette,
    normalisation="imagenet",
)
SHARD = "train-00000-of-00001.parquet"
Verb = Callable[..., list[str]]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A prepared data set, networks good and spoiled, search spaces, a picture; nobody changes it."""
    folder = tmp_path_factory.mktemp("workshop")
    small = SyntheticConfig(height=64, width=64, train=36, val=1, test=1)
    prepare_synthetic(str(folder / "data"), small)
    save_network(folder / "ok.safetensors", MODEL.build(len(CARD.classes)), CARD)
    _spoil_models(folder)
    (folder / "s.yaml").write_text(SPACE)
    (folder / "my space's.yaml").write_text(SPACE)
    (folder / "tab.yaml").write_text("a:\n\t- b\n")
    Image.new("RGB", (64, 48)).save(folder / "p.png")
    before = _contents(folder)
    yield folder
    assert _contents(folder) == before


def _contents(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


@pytest.fixture
def verb(
    workshop: Path,
    mlflow_storage: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Verb:
    """Runs a verb in the workshop; the lines on stderr after it ended with status 2.

    Reaching the cluster fails the test: all of these must be found before.
    """

    @contextlib.contextmanager
    def no_cluster(*_: object) -> Iterator[None]:
        raise AssertionError("the cluster was asked for")
        yield

    monkeypatch.chdir(workshop)
    monkeypatch.setattr(run_study, "connect", no_cluster)

    def call(name: str, *arguments: str) -> list[str]:
        try:
            status = run(VERBS[name].main, list(arguments))
        except SystemExit as wrong_usage:  # argparse
            status = wrong_usage.code
        printed = capsys.readouterr().err
        assert status == 2, printed
        assert "Traceback" not in printed
        lines = [line for line in printed.splitlines() if line.startswith("error: ")]
        return lines or printed.splitlines()[-1:]

    return call


def _said(lines: list[str], *fragments: str) -> None:
    for fragment in fragments:
        assert any(fragment in line for line in lines), f"{fragment!r} not in {lines}"


# Every way to write a space wrong: tests/search/test_bad_space.py. Here that a person reads it.
SPACES = {
    "not YAML": (["tab.yaml"], "tab.yaml:2: not valid YAML"),
    "no override": (["s.yaml", "foo"], "'foo' is no override; write key=value"),
    "an unknown key": (["s.yaml", "study.trails=3"], "s.yaml:10: study.trails: unknown key;"),
    "a range": (["s.yaml", "training.lr={log: [0.1, 0.01]}"], "s.yaml:9: training.lr: log [0.1, "),
    "two mistakes": (
        ["s.yaml", "data.crop=[16,16]", "training.lr=-1"],
        "s.yaml:1: data: crop [16, 16] is too small; both sides must be",
        "s.yaml:9: training.lr: input should be greater than 0 (got -1)",
    ),
}


@pytest.mark.parametrize("case", SPACES)
def test_space(case: str, verb: Verb) -> None:
    arguments, *messages = SPACES[case]
    _said(verb("tune", "--check", *arguments), *messages)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("groups: 12, patch: 2, pool: 0", "s.yaml:1: distiller: groups 12"),
        ("groups: 4, patch: 9, pool: 0", "patch 9x9 does not fit the 8x8 map"),
    ],
)
@pytest.mark.parametrize("teacher", ["in the file", "in the config"])
def test_contrast_that_does_not_fit_the_teacher(
    settings: str, message: str, teacher: str, verb: Verb
) -> None:
    given = ["s.yaml", f"distiller={{method: afdcd, {settings}}}"]
    if teacher == "in the config":  # then it is known without opening a file
        given += ["--check", "pair.teacher={model: {head: pspnet, encoder: resnet18}, train: {}}"]
    _said(verb("tune", *given), message)


def test_a_file_name_that_cannot_name_a_study(verb: Verb) -> None:
    _said(verb("tune", "my space's.yaml"), "cannot name a study", "study.name=...")


MODELS = {
    "nope.safetensors": "nope.safetensors: cannot be read: No such file or directory",
    "data": "data: cannot be read: Is a directory; give a .safetensors file",
    "x.pth": "x.pth: a pickled checkpoint, never loaded because it may run code",
    "cut.safetensors": "cut.safetensors: cut short",
    "text.safetensors": "text.safetensors: not a safetensors file",
    "bare.safetensors": "bare.safetensors: bare weights that do not say which network",
    "other.safetensors": "other.safetensors: holds another network's weights",
    "shapes.safetensors": "shapes differ",
    "vgg.safetensors": "vgg.safetensors: encoder timm:vgg11 cannot give features",
    "colours.safetensors": "palette.0.0: input should be less than or equal to 255 (got 300)",
    "models:/nope@champion": "Registered Model with name=nope not found; choose one that",
    "models:/": "models:/: names no model; give a .safetensors file here, models:/name@alias or",
    "models:/nope": "names no model",
    "runs:/abc": "names no model",
    "s3://bucket/x.safetensors": "names no model",
}


def _spoil_models(folder: Path) -> None:
    """The files that `MODELS` names, beside a good one."""

    def save(name: str, tensors: dict[str, torch.Tensor], card: dict[str, Any] | None) -> None:
        metadata = {"afdcd": json.dumps(card)} if card else None
        save_file(tensors, folder / f"{name}.safetensors", metadata)

    whole = (folder / "ok.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    (folder / "text.safetensors").write_text("hello" * 100)
    torch.save({}, folder / "x.pth")
    one, card = {"a": torch.ones(2)}, CARD.plain()
    save("bare", one, None)
    save("other", one, card)
    save("vgg", one, {**card, "model": {**card["model"], "encoder": "timm:vgg11"}})
    save("colours", one, {**card, "palette": [[300, 0, 0]] * 8})
    save("shapes", MODEL.build(5).state_dict(), card)


@pytest.mark.parametrize("model", MODELS)
def test_model(model: str, verb: Verb) -> None:
    """The same words wherever a network is named."""
    for given in (
        ("predict", model, "p.png", "--out", "o"),
        ("evaluate", model, "--data", "data"),
        ("tune", "s.yaml", f"pair.teacher={{weights: '{model}'}}"),
    ):
        _said(verb(*given), MODELS[model])


def test_a_pretrained_file_that_is_missing(verb: Verb) -> None:
    lines = verb("tune", "s.yaml", "pair.student.pretrained=nope.safetensors")
    _said(lines, "nope.safetensors: cannot be read: No such file")


def _halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _of_version_3(path: Path) -> None:
    path.write_text(path.read_text().replace('"version": 2', '"version": 3'))


DATA = {
    "unprepared": (lambda: shutil.rmtree("data"), "data: no prepared data set here (no manifest"),
    "manifest of another version": (
        lambda: _of_version_3(Path("data/manifest.json")),
        "manifest version 3, this afdcd reads 2; prepare the data set again",
    ),
    "manifest cut short": (
        lambda: _halved(Path("data/manifest.json")),
        "data/manifest.json: damaged",
    ),
    "shard deleted": (
        lambda: Path("data", SHARD).unlink(),
        f"data/{SHARD}: missing; prepare the data set again",
    ),
    "shard cut short": (lambda: _halved(Path("data", SHARD)), f"data/{SHARD}: "),
}


@pytest.mark.parametrize("case", DATA)
def test_data(
    case: str, verb: Verb, workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil, message = DATA[case]
    monkeypatch.chdir(shutil.copytree(workshop, tmp_path / "spoiled"))
    spoil()
    _said(verb("tune", "s.yaml"), message)


def test_data_of_another_set(verb: Verb) -> None:
    lines = verb("tune", "s.yaml", "data.dataset=camvid")
    _said(lines, "data: holds 'synthetic', not 'camvid'; give its own folder")


ENVIRONMENT = {
    "no MLflow there": ({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "start the server"),
    "no MLflow scheme": ({"MLFLOW_TRACKING_URI": "xyz://a"}, "Can't load plugin"),
    "no MLflow URI": ({"MLFLOW_TRACKING_URI": "mlruns"}, "MLFLOW_TRACKING_URI: 'mlruns'"),
    "MLflow file": ({"MLFLOW_TRACKING_URI": "sqlite:////proc/x.db"}, "unable to open database"),
    "MLflow password": (
        {"MLFLOW_TRACKING_URI": "http://u:secret@127.0.0.1:9"},
        "MLflow at http://127.0.0.1:9 cannot be reached",
    ),
    "no study scheme": ({"AFDCD_STUDY_DB": "xyz://a"}, "AFDCD_STUDY_DB: 'xyz://a' cannot be used"),
    "no study URL": ({"AFDCD_STUDY_DB": "foo"}, "AFDCD_STUDY_DB: 'foo' cannot be used"),
    "no study file": ({"AFDCD_STUDY_DB": "sqlite:////proc/x.db"}, "unable to open database"),
    "no Postgres there": (
        {"AFDCD_STUDY_DB": "postgresql://u:secret@127.0.0.1:9/x"},
        "AFDCD_STUDY_DB: database postgresql://127.0.0.1:9/x cannot be reached",
    ),
    "storage read-only": ({"AFDCD_STORAGE": "/proc/x"}, "set it to a folder that may be written"),
    "storage a file": ({"AFDCD_STORAGE": "p.png"}, "p.png: cannot be made"),
    "storage remote alone": (
        {"AFDCD_STORAGE": "s3://bucket/x"},
        "MLFLOW_TRACKING_URI must name a database or server",
    ),
}


@pytest.mark.parametrize("case", ENVIRONMENT)
def test_environment(case: str, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, message = ENVIRONMENT[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    lines = verb("tune", "s.yaml")
    _said(lines, message)
    assert not any("secret" in line for line in lines)


class _LoginPage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>\nplease log in\n</html>")

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_a_web_server_that_is_no_mlflow(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _LoginPage) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{page.server_port}")
        lines = verb("tune", "s.yaml")
        page.shutdown()
    assert len(lines) == 1
    _said(lines, "if this is no MLflow server or database, correct MLFLOW_TRACKING_URI")


def test_a_ray_address_that_does_not_answer(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_study, "connect", cluster.connect)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    _said(verb("tune", "s.yaml"), "RAY_ADDRESS 127.0.0.1:9: no Ray cluster there")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """3 MB that can be filled."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not permitted")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_preparing_onto_a_full_disk(verb: Verb, full_disk: Path) -> None:
    lines = verb("prepare", "synthetic", "--out", str(full_disk / "x"), "--train", "80")
    _said(lines, f"{full_disk}/x/{SHARD}: cannot be written: no space left; free some")
    assert list((full_disk / "x").iterdir()) == []


def test_a_study_on_a_full_disk(
    verb: Verb, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(full_disk))
    _said(verb("tune", "s.yaml"), "3 MiB free, 64 are needed to begin; free some")


USAGE = {
    "a device": (["predict", "ok.safetensors", "p.png", "--out", "o", "--device", "tpu"], "tpu"),
    "meta": (["evaluate", "ok.safetensors", "--data", "data", "--device", "meta"], "use cpu"),
    "no picture": (["predict", "ok.safetensors", "data", "--out", "o"], "no pictures found"),
    "ranges": (["train", "s.yaml"], "s.yaml: holds ranges; use afdcd.tune, or fix each"),
    "no file": (["train", "nope.yaml"], "nope.yaml: no such file; give the path of a YAML file"),
    "a folder": (["tune", "data"], "data: Is a directory; give the path of a YAML file"),
    "pixels": (
        ["prepare", "synthetic", "--out", "q", "--height", "1000000"],
        "prepare synthetic: height: input should be less than or equal to 4096 (got 1000000)",
    ),
    "out": (
        ["prepare", "synthetic", "--out", "p.png", "--train", "6"],
        "p.png/train-00000-of-00001.parquet: c",
    ),
    "data set": (["prepare", "imagenet", "--out", "q"], "invalid choice: 'imagenet' (choose from "),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, verb: Verb) -> None:
    arguments, message = USAGE[case]
    _said(verb(*arguments), message)
