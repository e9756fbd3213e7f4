"""A search space that a person wrote wrong: file, line, key and remedy, for every way to do so.

These ask the loader itself. That the verbs print what it says, and end with status 2, is shown by
tests/test_bad_input.py.
"""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.search.load import load_space

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


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a message names the file as a person would."""
    monkeypatch.chdir(tmp_path)


YAML = {
    "empty": ("", "bad.yaml: holds no mapping; expected `key: value` lines"),
    "a list": ("- a\n", "holds no mapping"),
    "a tab": ("a:\n\t- b\n", "bad.yaml:2: not valid YAML"),
    "a key twice": ("a: 1\na: 2\n", "bad.yaml:2: a: given twice; keep one"),
    "a block as key": ("? [a, b]\n: 1\n", "bad.yaml:1: (top level): a key must be a word"),
    "an endless alias": ("data: &a {x: *a}\n", "an alias inside its own anchor"),
    "what is no number": ("a: !!int x\n", "bad.yaml: holds an impossible value: invalid literal"),
    "what is no boolean": ("a: !!bool on\n", "'on' is neither true nor false"),
    "two documents": ("a: 1\n---\nb: 2\n", "bad.yaml:2: not valid YAML"),
    "a Python object": ("a: !!python/object:os.system x\n", "could not determine a constructor"),
    "bytes": ("data: !!binary aGVsbG//\n", "bad.yaml:1: not valid YAML: could not determine"),
    "a zero byte": ("a: \x00\n", "bad.yaml: not valid YAML: unacceptable character"),
    "5000 digits": (f"a: {'9' * 5000}\n", "bad.yaml: holds an impossible value"),
}


@pytest.mark.parametrize("case", YAML)
def test_yaml(case: str) -> None:
    text, message = YAML[case]
    Path("bad.yaml").write_text(text)
    assert_refused("bad.yaml", [], message)


# One override each; the line in the file is that of the nearest key that is still as written.
OVERRIDES = {
    "foo": "'foo' is no override; write key=value, e.g. study.trials=8",
    "data.=3": "'data.=3' is no override",
    "data.crop.x=1": "'crop' is no mapping",
    "training.lr=[": "not valid YAML",
    "traning.lr=3": "s.yaml:1: traning: unknown key; did you mean 'training'?",
    "study.trails=3": "s.yaml:10: study.trails: unknown key; did you mean 'trials'?",
    "data.dataset=imagenet": "s.yaml:1: data.root: data: no prepared data set here",
    "data.protocol=x": "data.protocol: 'x' is not one of 'official' or 'dev'",
    "data.crop=[16,16]": "both sides must be >= 32 pixels",
    "data.root={choice: [a, b]}": "data.root: all runs of a study must share it",
    "resources.workers={choice: [1, 2]}": "resources.workers: all runs of a study must share it",
    "resources.workers=3": "training.batch: 4 must be divisible by resources.workers 3",
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
    "distiller={method: afdc}": "'afdc' is not one of 'none', 'kd', 'mgd', 'afdcd'",
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
    "study.enqueue=[{training: {momentum: 0}}]": "optimizer: not in this search space; remove it",
    "study.enqueue=[{training: {batch: 8}}]": "this space fixes training.batch to 4; remove it",
    "study.enqueue=[{training: {seed: -1}}]": "study.enqueue.0.training.seed: -1 is no whole number",
    "study.enqueue=[{training: {seed: two}}]": "study.enqueue.0.training.seed: 'two' is no whole",
    "study.enqueue=[{distiller: {method: kd}}]": "is not one of ['none', 'afdcd']",
    "study.enqueue=[3]": "study.enqueue.0: input should be an object (got 3)",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_override(override: str) -> None:
    Path("s.yaml").write_text(SPACE)
    assert_refused("s.yaml", [override], OVERRIDES[override])


def assert_refused(path: str, overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        load_space(path, overrides)
    assert any(message in line for line in str(error.value).splitlines()), str(error.value)
