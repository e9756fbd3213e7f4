"""`~` means a home folder wherever a path is given, also where a shell does not read it."""

import argparse
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from afdcd import predict, prepare
from afdcd.__main__ import VERBS
from afdcd.cli import USER_ERROR, run
from afdcd.config import FrozenConfig, UserError, validate
from afdcd.environment import storage_root
from afdcd.paths import expanded
from afdcd.search.load import load_space
from afdcd.training.trial import TrialConfig
from benchmarks import curve, data, loss, step, table4
from tests.examples import trial_values

# Words that are no path; whatever else may be any word is one.
NO_PATHS = {
    *("ignore", "background", "mask_suffix", "columns"),  # of labels
    "student",  # HEAD/ENCODER
    "dataset",
    "cluster",  # how many of which GPU
    "wall_clock",
    *(
        "overrides",
        "name",
        "setting",
        "study",
        "device",
        "scales",
        "window",
        "stride",
        "precision",
        "compile",
    ),
    *("part", "encoder"),  # of convert: names of networks
    "setting",  # of a study, as YAML
    *("teacher", "student", "head"),  # of benchmarks: names of networks
}
BENCHES = (curve, data, loss, step, table4)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_home_folder_is_read_as_a_shell_reads_it(home: Path) -> None:
    user = pwd.getpwuid(0)
    for given, meant in {
        "~": f"{home}",
        "~/x/~y": f"{home}/x/~y",
        f"~{user.pw_name}/x": f"{user.pw_dir}/x",
        "~nobody-of-this-name/x": "~nobody-of-this-name/x",
        "x~": "x~",
        "./~": "./~",
        "s3://bucket//~/x": "s3://bucket//~/x",
        "models:/name@alias": "models:/name@alias",
    }.items():
        assert expanded(given) == meant


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _parsers(inner)


def _every_parser() -> list[tuple[str, argparse.ArgumentParser]]:
    verbs = [(verb.name, verb.load().parser(verb.name)) for verb in VERBS]
    return verbs + [(module.__name__, _parser_of(module)) for module in BENCHES]


def _parser_of(module: Any) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return parser


def test_every_path_on_a_command_line_may_begin_at_home(home: Path) -> None:
    paths = set()
    for verb, whole in _every_parser():
        for parser in _parsers(whole):
            for action in parser._actions:
                if action.nargs == 0 or action.choices or action.type in (int, float):
                    continue
                if action.dest in NO_PATHS or (action.type and action.type.__name__ == "_share"):
                    continue
                paths.add((verb, action.dest))
                assert callable(action.type), (verb, action.dest)
                assert str(action.type("~/x")) == f"{home}/x", (verb, action.dest)
    assert paths >= {("evaluate", "data"), ("predict", "images"), ("prepare", "source")}
    assert paths >= {("tune", "space"), ("train", "config"), ("bench", "folder")}


def test_every_path_of_a_configuration_may_begin_at_home(home: Path) -> None:
    teacher = {"model": {"head": "pspnet", "encoder": "timm:resnet10t", "pretrained": "~/t.sf"}}
    config = validate(
        TrialConfig,
        trial_values(
            data__root="~/data",
            pair__student__pretrained="~/s.sf",
            pair__teacher={**teacher, "weights": "~/w.sf"},
        ),
    )
    pair = config.pair
    assert pair.teacher is not None and pair.teacher.model is not None
    assert (config.data.root, pair.student.pretrained) == (f"{home}/data", f"{home}/s.sf")
    assert pair.teacher.weights == f"{home}/w.sf"
    assert pair.teacher.model.pretrained == f"{home}/t.sf"
    assert validate(TrialConfig, config.plain()) == config
    for uri in ("s3://bucket/~/x", "models:/x@y"):
        changed = trial_values(data__root=uri, pair__teacher={**teacher, "weights": uri})
        left = validate(TrialConfig, changed)
        assert left.pair.teacher is not None
        assert (left.data.root, left.pair.teacher.weights) == (uri, uri)


def test_every_word_of_a_configuration_is_a_path_or_known_as_none() -> None:
    """A new field that holds a path must be a `Location`."""
    words = {
        (config.__name__, name)
        for config in _configs_below(TrialConfig)
        for name, field in config.model_fields.items()
        if field.annotation in (str, str | None) and not field.metadata
    }
    assert words == {
        ("DataConfig", "dataset"),
        ("ModelConfig", "encoder"),
        ("PairConfig", "name"),
        ("TrialConfig", "task"),
    }


def _configs_below(config: type[FrozenConfig]) -> set[type[FrozenConfig]]:
    found = {config}
    pending = [field.annotation for field in config.model_fields.values()]
    while pending:
        annotation = pending.pop()
        pending.extend(getattr(annotation, "__args__", ()))
        if isinstance(annotation, type) and issubclass(annotation, FrozenConfig):
            found |= _configs_below(annotation)
    return found


@pytest.mark.parametrize("where", ["file", "override"])
def test_a_search_space_may_name_data_at_home(home: Path, where: str) -> None:
    text = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 4, validate_every: 2, batch: 4}
"""
    file = home / "s.yaml"
    file.write_text(text.replace("ROOT", "~/data" if where == "file" else "elsewhere"))
    overrides = ["data.root=~/data"] if where == "override" else []
    assert load_space(str(file), overrides).examples[0].data.root == f"{home}/data"


def test_a_remedy_names_the_folder_that_is_meant(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(prepare.main, ["show", "~/nothing"]) == USER_ERROR
    assert f"{home}/nothing: no prepared data set here" in capsys.readouterr().err


def test_storage_may_be_at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    user = pwd.getpwuid(0)
    for given, meant in (
        ("~/runs", f"{home}/runs"),
        (f"~{user.pw_name}/runs", f"{user.pw_dir}/runs"),
        ("~nobody-of-this-name", f"{home}/~nobody-of-this-name"),
    ):
        monkeypatch.setenv("AFDCD_STORAGE", given)
        assert storage_root() == meant


def test_what_is_written_goes_where_it_was_said(home: Path) -> None:
    small = ["--height=64", "--width=64", "--train=1", "--val=1", "--test=1"]
    assert run(prepare.main, ["synthetic", "--out=~/data", *small]) == 0
    assert (home / "data" / "manifest.json").exists()


@pytest.mark.parametrize("key", ["data__root", "pair__student__pretrained"])
def test_a_key_in_a_uri_is_refused_and_not_repeated(key: str) -> None:
    """C8: it would stand in MLflow, in the study database and in the log for ever."""
    values = trial_values(**{key: "s3://KEY:SECRET@bucket/x"})
    with pytest.raises(UserError, match="set AWS_ACCESS_KEY_ID and AWS_SECRET") as error:
        validate(TrialConfig, values)
    assert key.replace("__", ".") in str(error.value)
    assert "SECRET@" not in str(error.value)


def test_a_uri_where_a_folder_of_this_machine_is_needed_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It became a folder called `s3:` in the working folder, without a word."""
    monkeypatch.chdir(home)
    (home / "a.png").write_bytes(b"")
    assert run(predict.main, ["m.safetensors", "a.png", "--out", "s3://bucket/x"]) == USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: s3://bucket/x: a file or folder of this machine is needed here, no URI"
    assert [path.name for path in home.iterdir()] == ["a.png"]
