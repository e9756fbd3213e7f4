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
from afdcd.tracking import server

VERBS = {"tune": tune, "train": train, "prepare": prepare, "evaluate": evaluate, "predict": predict}
MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050")
CARD = NetworkCard(
    model=MODEL,
    dataset="synthetic",
    classes=SYNTHETIC.classes,
    palette=SYNTHETIC.palette,
    normalisation="imagenet",
)
SPACE = """\
data: {dataset: synthetic, root: data, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher: {weights: ok.safetensors}
distiller:
  choice:
    - {method: none}
    - {method: afdcd, tau: {log: [0.05, 1.0]}, groups: {choice: [4, 8]}, patch: 2, pool: 0}
training: {iterations: 12, validate_every: 4, batch: 4, lr: {log: [1e-3, 1e-1]}}
study: {trials: 4, reduction: 2}
"""
SHARD = "train-00000-of-00001.parquet"
Verb = Callable[..., list[str]]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the cases spoil: a prepared data set, a network, a search space, a picture."""
    folder = tmp_path_factory.mktemp("workshop")
    small = SyntheticConfig(height=64, width=64, train=36, val=1, test=1)
    prepare_synthetic(str(folder / "data"), small)
    save_network(folder / "ok.safetensors", MODEL.build(len(CARD.classes)), CARD)
    (folder / "s.yaml").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", str(folder / "runs"))
        server.connect()  # making MLflow's tables takes seconds, copying them does not
    Image.new("RGB", (64, 48)).save(folder / "p.png")
    return folder


@pytest.fixture
def verb(
    workshop: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Verb:
    """Runs a verb in a copy of the workshop; the lines on stderr after it ended with status 2.

    Reaching the cluster fails the test: all of these must be found before.
    """

    @contextlib.contextmanager
    def no_cluster() -> Iterator[None]:
        raise AssertionError("the cluster was asked for")
        yield

    home = tmp_path / "home"
    shutil.copytree(workshop, home)
    monkeypatch.chdir(home)
    monkeypatch.setattr(run_study, "connect", no_cluster)
    for name in ("MLFLOW_TRACKING_URI", "AFDCD_STUDY_DB", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AFDCD_STORAGE", str(home / "runs"))

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


YAML = {
    "empty": ("", "bad.yaml: holds no mapping; expected `key: value` lines"),
    "a list": ("- a\n", "holds no mapping"),
    "a tab": ("a:\n\t- b\n", "bad.yaml:2: not valid YAML"),
    "a key twice": ("a: 1\na: 2\n", "bad.yaml:2: a: given twice; keep one"),
    "a block as key": ("? [a, b]\n: 1\n", "bad.yaml:1: (top level): a key must be a word"),
    "an endless alias": ("data: &a {x: *a}\n", "an alias inside its own anchor"),
    "two documents": ("a: 1\n---\nb: 2\n", "bad.yaml:2: not valid YAML"),
    "a Python object": ("a: !!python/object:os.system x\n", "could not determine a constructor"),
    "bytes": ("data: !!binary aGVsbG//\n", "bad.yaml: a value is neither text nor number"),
    "a zero byte": ("a: \x00\n", "bad.yaml: not valid YAML: unacceptable character"),
    "5000 digits": (f"a: {'9' * 5000}\n", "bad.yaml: holds an impossible value"),
}


@pytest.mark.parametrize("case", YAML)
def test_yaml(case: str, verb: Verb) -> None:
    text, message = YAML[case]
    Path("bad.yaml").write_text(text)
    _said(verb("tune", "bad.yaml", "--check"), message)


# One override each; the line in the file is that of the nearest key that is still as written.
OVERRIDES = {
    "foo": "'foo' is no override; write key=value, e.g. study.trials=8",
    "data.=3": "'data.=3' is no override",
    "data.crop.x=1": "'crop' is no mapping",
    "training.lr=[": "not valid YAML",
    "traning.lr=3": "s.yaml:1: traning: unknown key; did you mean 'training'?",
    "study.trails=3": "s.yaml:10: study.trails: unknown key; did you mean 'trials'?",
    "data.dataset=imagenet": "s.yaml:1: data.dataset: 'imagenet' is not one of 'synthetic'",
    "data.protocol=x": "data.protocol: 'x' is not one of 'official' or 'dev'",
    "data.crop=[16,16]": "both sides must be >= 32 pixels",
    "data.root={choice: [a, b]}": "data.root: all trials of a study must share it",
    "resources.workers={choice: [1, 2]}": "resources.workers: all trials of a study must share it",
    "resources.workers=3": "training.batch 4 must be divisible by resources.workers 3",
    "resources.workers=4": "each worker needs at least 2 images",
    "resources.device=tpu": "'tpu' is not one of 'auto', 'cpu' or 'gpu'",
    "training.validate_every=5": "must be a multiple of validate_every 5",
    "training.seed=-1": "training.seed: input should be greater than or equal to 0 (got -1)",
    "training.lr=.inf": "training.lr: input should be a finite number",
    "training.lr='1e-3'": "training.lr: input should be a valid number (got '1e-3')",
    "training.lr={log: [0.1, 0.01]}": "log [0.1, 0.01] must rise from left to right",
    "training.lr={log: [0, 1]}": "log [0, 1] needs ends above 0",
    "training.lr={uniform: [-1, 1]}": "training.lr: input should be greater than 0 (got -1)",
    "training.lr={uniform: [0.1, .inf]}": "uniform takes two numbers",
    "training.lr={lgo: [1, 2]}": "training.lr: input should be a valid number (got the keys lgo)",
    "training.lr={choice: []}": "choice takes a list of one or more values",
    "distiller={method: afdc}": "'afdc' is not one of 'none', 'kd', 'fd', 'afdcd'",
    "distiller={metod: kd}": "needs the key 'method'",
    "distiller.method=kd": "s.yaml:5: distiller: a choice range takes no method",
    "distiller={choice: [{method: kd}, {method: kd}]}": "choice holds the same option twice",
    "pair.student.encoder=resnet19": "pair.student.encoder: unknown encoder 'resnet19'",
    "pair.student.encoder=timm:resnt18": "nearest: timm:resnet18",
    "pair.student.encoder=timm:vgg11": "s.yaml:2: pair: encoder timm:vgg11 cannot give features",
    "pair.student.encoder=timm:vit_tiny_patch16_224": "choose a convolutional one",
    "pair.student.encoder=timm:botnet26t_256": "does not take pictures of",
    "pair.teacher.weights={choice: [a, b]}": "a teacher takes no ranges inside",
    "pair.teacher=null": "method 'afdcd' needs pair.teacher",
    "pair.teacher={weights: a, train: {}}": "give either weights (file or models:/ URI) or train",
    "study=3": "study: input should be an object (got 3)",
    "study.trials=0": "study.trials: input should be greater than 0 (got 0)",
    "study.trials=-1": "study.trials",
    "study.keep=0": "study.keep",
    "study.max_concurrent=0": "study.max_concurrent",
    "study.seed=-1": "study.seed: input should be greater than or equal to 0 (got -1)",
    "study.reduction=1": "study.reduction: input should be greater than or equal to 2 (got 1)",
    "study.grace=13": "s.yaml:10: study.grace: 13 is more than a trial's 12 iterations",
    "study.name=a/b": "study.name: 'a/b' cannot name a study",
    "study.name=..": "study.name: '..' cannot name a study",
    "study.name=''": "study.name: '' cannot name a study",
    "study.enqueue=[{training: {lr: 3}}]": "study.enqueue.0.training.lr: 3 is outside",
    "study.enqueue=[{training: {momentum: 0}}]": "momentum: not in this search space; remove it",
    "study.enqueue=[{training: {batch: 8}}]": "this space fixes training.batch to 4; remove it",
    "study.enqueue=[{distiller: {method: kd}}]": "is not one of ['none', 'afdcd']",
    "study.enqueue=[3]": "study.enqueue.0: input should be an object (got 3)",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_override(override: str, verb: Verb) -> None:
    _said(verb("tune", "s.yaml", "--check", override), OVERRIDES[override])


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
    Path("s.yaml").rename("my space's.yaml")
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


def _spoil_models() -> None:
    whole = Path("ok.safetensors").read_bytes()
    Path("cut.safetensors").write_bytes(whole[: len(whole) // 2])
    Path("text.safetensors").write_text("hello" * 100)
    torch.save({}, "x.pth")
    one = {"a": torch.ones(2)}
    save_file(one, "bare.safetensors")
    card = CARD.plain()
    save_file(one, "other.safetensors", {"afdcd": json.dumps(card)})
    vgg = {**card, "model": {**card["model"], "encoder": "timm:vgg11"}}
    save_file(one, "vgg.safetensors", {"afdcd": json.dumps(vgg)})
    colours = {**card, "palette": [[300, 0, 0]] * 8}
    save_file(one, "colours.safetensors", {"afdcd": json.dumps(colours)})
    save_file(MODEL.build(5).state_dict(), "shapes.safetensors", {"afdcd": json.dumps(card)})


@pytest.mark.parametrize("model", MODELS)
def test_model(model: str, verb: Verb) -> None:
    """The same words wherever a network is named."""
    _spoil_models()
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
def test_data(case: str, verb: Verb) -> None:
    spoil, message = DATA[case]
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
    "out": (["prepare", "synthetic", "--out", "p.png"], "p.png/train-00000-of-00001.parquet: c"),
    "data set": (["prepare", "imagenet", "--out", "q"], "invalid choice: 'imagenet' (choose from "),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(case: str, verb: Verb) -> None:
    arguments, message = USAGE[case]
    _said(verb(*arguments), message)
