"""`afdcd convert` from file to file: what it writes loads, what it says is so, nothing is a traceback."""

import errno
import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from afdcd import convert
from afdcd.cli import run
from afdcd.models import tensors as tensors_module
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, load_weights, save_network
from afdcd.search.given_teacher import given_teacher
from tests.examples import trial
from tests.models.checkpoints.saved import (
    SMALL,
    official,
    optimizer,
    prefixed,
    same,
    trained,
    zeros,
)

LEGACY = {"_use_new_zipfile_serialization": False}
Convert = Callable[..., tuple[int, str, str]]


@pytest.fixture
def converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Convert:
    """Runs the verb in an empty folder: the exit status, and the two streams."""
    monkeypatch.chdir(tmp_path)

    def call(file: str, *more: str, out: str = "t.safetensors") -> tuple[int, str, str]:
        status = run(convert.main, [file, "--out", out, *more])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return status, printed.out, printed.err

    return call


@pytest.mark.parametrize("format_", [{}, LEGACY], ids=["zip", "legacy"])
def test_a_published_checkpoint_becomes_the_same_network(
    format_: dict[str, Any], converted: Convert
) -> None:
    torch.save(official(), "t.pth", **format_)
    status, out, err = converted("t.pth")
    assert (status, err) == (0, "")
    assert "pspnet on mobilenetv2, 5 classes, head 16 wide, without auxiliary head" in out
    ours = SMALL.build(5)
    load_weights(ours, "t.safetensors")
    assert same(ours.state_dict(), trained().state_dict())
    digest = hashlib.sha256(Path("t.safetensors").read_bytes()).hexdigest()
    assert re.search(rf"^wrote t\.safetensors: 338 tensors, .* MB, sha256 {digest}$", out, re.M)
    assert sorted(file.name for file in Path().iterdir()) == ["t.pth", "t.safetensors"]


def test_printed_lines_make_a_teacher_of_the_file(converted: Convert) -> None:
    torch.save({"state_dict": prefixed("module.", official(classes=11))}, "t.pth")
    _, out, _ = converted("t.pth")
    lines = yaml.safe_load(out.partition("in a search space:\n")[2])
    config = trial(
        data__dataset="camvid",
        pair__teacher=lines["pair"]["teacher"],
        data__normalisation=lines["data"]["normalisation"],
    )
    path, card = given_teacher(config)
    assert path == Path("t.safetensors")
    assert (card.model, card.normalisation, len(card.classes)) == (SMALL, "caffe", 11)


def test_every_wrapper_and_change_is_told(converted: Convert) -> None:
    net = {k: v for k, v in official().items() if "num_batches" not in k}
    content = {
        "epoch": 3,
        "optimizer": optimizer(),
        "state_dict": {key: value.half() for key, value in prefixed("module.", net).items()},
        "state_dict_ema": zeros(prefixed("module._orig_mod.", net)),
    }
    torch.save(content, "t.pth")
    status, out, _ = converted("t.pth", "--weights", "raw")
    assert status == 0
    for line in (
        "taken off: 'state_dict', prefix 'module.'",
        "left out: epoch, optimizer, state_dict_ema",
        "weights: raw ('state_dict') taken; ema ('state_dict_ema') is there, too: --weights ema",
        "changed: 282 tensors of float16 turned to float32, 56 counters of PyTorch 0.4.1",
    ):
        assert line in out, out
    assert load_file("t.safetensors")["head.block.0.weight"].equal(
        net["head.block.0.weight"].half().float()
    )
    converted("t.pth", "--force")
    assert load_file("t.safetensors")["head.block.0.weight"].count_nonzero() == 0


def test_tensors_from_a_gpu_come_to_the_cpu(
    converted: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file says where its tensors lay, and a machine without a GPU could not put them there."""
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:7")
        torch.save(official(), "t.pth")
    with pytest.raises(RuntimeError, match="CUDA"):
        torch.load("t.pth", weights_only=True)
    assert converted("t.pth")[0] == 0
    assert same(load_file("t.safetensors"), official())


def test_what_afdcd_cannot_use_is_written_only_when_asked(converted: Convert) -> None:
    theirs = official()
    del theirs["head.block.1.bias"]
    torch.save(theirs | {"memory.queue": torch.ones(3)}, "t.pth")
    status, out, _ = converted("t.pth")
    assert (status, Path("t.safetensors").exists()) == (1, False)
    assert "nearest of what afdcd builds: pspnet on mobilenetv2, 5 classes" in out
    assert "1 keys that the network needs are missing: head.block.1.bias" in out
    assert "1 keys are not known to it: memory.queue" in out
    assert "t.safetensors was not written: afdcd cannot use these weights; --any" in out
    status, out, _ = converted("t.pth", "--any")
    assert status == 0 and "in a search space" not in out
    assert same(load_file("t.safetensors"), theirs | {"memory.queue": torch.ones(3)})


def test_weights_that_are_no_numbers_are_not_called_usable(converted: Convert) -> None:
    theirs = official()
    theirs["head.classifier.bias"][0] = float("nan")
    torch.save(theirs, "t.pth")
    status, out, _ = converted("t.pth")
    assert status == 1
    assert "not finite: 1 tensors, first head.classifier.bias: its training diverged" in out


def test_a_safetensors_file_is_looked_at_and_left(converted: Convert) -> None:
    save_file(official(), "s.safetensors")
    status, out, _ = converted("s.safetensors")
    assert status == 0
    assert "s.safetensors is what afdcd reads already: nothing was written" in out
    assert 'weights: "s.safetensors"' in out
    assert not Path("t.safetensors").exists()
    Path("cut.safetensors").write_bytes(Path("s.safetensors").read_bytes()[:-9])
    assert "cut.safetensors: cut short" in converted("cut.safetensors")[2]
    save_file(prefixed("module.", official()), "wrapped.safetensors")
    assert converted("wrapped.safetensors")[0] == 0
    assert same(load_file("t.safetensors"), official())


def test_a_network_with_its_card_needs_no_converting(converted: Convert) -> None:
    card = NetworkCard(
        model=SMALL,
        dataset="camvid",
        classes=("sky", "road"),
        palette=((0, 0, 0), (1, 1, 1)),
        normalisation="caffe",
    )
    save_network("own.safetensors", trained(classes=2), card)
    status, out, _ = converted("own.safetensors")
    assert (status, Path("t.safetensors").exists()) == (0, False)
    assert "with its card: there is nothing to convert" in out


def test_places_that_cannot_be_written_are_told_before_anything_is_read(
    converted: Convert,
) -> None:
    torch.save(official(), "t.pth")
    Path("there.safetensors").write_text("old")
    Path("same.safetensors").hardlink_to("t.pth")
    Path("folder.safetensors").mkdir()
    for out, message in {
        "t.pth": "--out t.pth: what is written is a safetensors file; name it ....safetensors",
        "same.safetensors": "--out same.safetensors: is the file to convert; choose another",
        "there.safetensors": "is there already; choose another name, or --force",
        "folder.safetensors": "--out folder.safetensors: a folder; name a file in it",
        "no/t.safetensors": "no folder no; make it first: mkdir -p no",
        f"{'x' * 300}.safetensors": "File name too long; choose another place",
    }.items():
        force = [] if out.startswith("there") else ["--force"]
        status, said, err = converted("t.pth", *force, out=out)
        assert (status, said) == (2, "")
        assert err.startswith("error: ") and message in err and err.count("\n") == 1
    assert Path("there.safetensors").read_text() == "old"
    assert converted("t.pth", "--force", out="there.safetensors")[0] == 0


def test_a_place_that_takes_no_file_is_told(converted: Convert) -> None:
    torch.save(official(), "t.pth")
    status, _, err = converted("t.pth", out="/proc/t.safetensors")
    assert status == 2
    assert err.startswith("error: --out /proc/t.safetensors: cannot be written: ")
    assert err.count("\n") == 1


def test_a_full_disk_leaves_nothing_and_keeps_the_old_file(
    converted: Convert, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_tensors: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    torch.save(official(), "t.pth")
    Path("t.safetensors").write_text("old")
    monkeypatch.setattr(tensors_module, "save_file", full)
    status, _, err = converted("t.pth", "--force")
    assert status == 2
    assert err.startswith("error: --out t.safetensors: cannot be written: ")
    assert Path("t.safetensors").read_text() == "old"
    assert sorted(file.name for file in Path().iterdir()) == ["t.pth", "t.safetensors"]


@pytest.mark.parametrize("format_", [{}, LEGACY], ids=["zip", "legacy"])
def test_damage_is_never_a_traceback_and_never_a_half_network(
    format_: dict[str, Any], converted: Convert
) -> None:
    """Cut anywhere, or with flipped bytes: refused, or (legacy, which has no checksums) other values."""
    net = {"conv.weight": torch.rand(8, 9), "conv.bias": torch.rand(8), "n": torch.tensor(3)}
    torch.save({"state_dict": net, "epoch": 3}, "whole.pth", **format_)
    whole = Path("whole.pth").read_bytes()
    chance = random.Random(0)
    for trial_ in range(150):
        spoiled = bytearray(whole)
        if trial_ % 3 == 0:
            spoiled = spoiled[: chance.randrange(len(whole))]
        for _ in range(trial_ % 3):
            spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
        Path("t.pth").write_bytes(spoiled)
        status, out, err = converted("t.pth", "--any", "--force")
        assert status in (0, 2), (trial_, out, err)
        assert err.count("\n") == (status == 2), (trial_, err)
        if len(spoiled) < len(whole):
            assert status == 2, trial_
        if status == 0 and not format_:
            assert same(load_file("t.safetensors"), net), trial_


def test_a_start_for_a_student_loads(converted: Convert) -> None:
    """A published backbone, wrapped, with the classifier that it was trained with."""
    theirs = {
        key.removeprefix("pretrained.net."): value
        for key, value in official().items()
        if key.startswith("pretrained.")
    }
    torch.save(
        {"state_dict": prefixed("module.", theirs) | {"module.fc.bias": torch.ones(1)}}, "t.pth"
    )
    status, out, _ = converted("t.pth")
    assert status == 0
    student = yaml.safe_load(out.partition("in a search space:\n")[2])["pair"]["student"]
    loaded = ModelConfig(**student).build(3).encoder.state_dict()
    expected = trained().encoder.state_dict()
    assert same(loaded, expected)
