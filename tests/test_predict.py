"""`python -m afdcd.predict`: which files it reads, what it writes, what it does with bad ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from afdcd.cli import run
from afdcd.commands import predict
from afdcd.commands.predict import find_pictures
from afdcd.config import UserError
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.models.weights import NetworkCard
from afdcd.predict import main
from afdcd.tasks import segmentation_task

PALETTE = ((200, 10, 10), (10, 200, 10), (10, 10, 200))
CARD = NetworkCard(
    model=ModelConfig(head="pspnet", encoder="mobilenetv2"),
    dataset="synthetic",
    classes=("red", "green", "blue"),
    palette=PALETTE,
    normalisation="imagenet",
)
Predict = Callable[..., int]


class BrightestChannel(nn.Module):
    def forward(self, images: Tensor) -> Output:
        return Output(images, None, {})


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Predict:
    """The verb, run in an empty folder, with a network that labels by the brightest channel."""

    def call(*arguments: str, card: NetworkCard = CARD) -> int:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(predict, "fetch", lambda model: model)
        monkeypatch.setattr(predict, "load_network", lambda _: (BrightestChannel(), card))
        return run(main, ["model", "--device", "cpu", *arguments])

    return call


def test_writes_a_mask_and_an_overlay_of_the_pictures_own_size(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "street.png", left=(255, 0, 0), right=(0, 0, 255))
    assert verb("street.png", "--out", "out") == 0
    mask = Image.open(tmp_path / "out/street.png")
    assert (mask.mode, mask.size) == ("P", (40, 24))
    assert np.asarray(mask)[0].tolist() == [0] * 20 + [2] * 20
    tinted = np.asarray(Image.open(tmp_path / "out/street_overlay.jpg"))[12, 5].astype(int)
    assert abs(tinted - (228, 5, 5)).max() <= 8  # half red, half the palette's red; JPEG
    printed = capsys.readouterr().out
    assert "out/street.png  out/street_overlay.jpg\n1 of 1 images labelled, " in printed


def test_alpha_1_covers_the_picture(verb: Predict, tmp_path: Path) -> None:
    _picture(tmp_path / "street.png")
    assert verb("street.png", "--out", "out", "--alpha", "1") == 0
    tinted = np.asarray(Image.open(tmp_path / "out/street_overlay.jpg"))[12, 20].astype(int)
    assert abs(tinted - PALETTE[1]).max() <= 8


def test_bad_pictures_are_named_one_per_line_and_the_rest_is_labelled(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    _picture(folder / "good.png")
    cut = (folder / "good.png").read_bytes()[:60]
    for name, content in {"cut.png": cut, "empty.jpg": b"", "text.png": b"hello"}.items():
        (folder / name).write_bytes(content)
    assert verb("in", "gone.jpg", "--out", "out") == 1
    printed = capsys.readouterr()
    errors = sorted(printed.err.splitlines())
    starts = [f"error: {name}: " for name in ("gone.jpg", *(f"in/{n}" for n in _BAD))]
    assert [line[: len(start)] for line, start in zip(errors, starts, strict=True)] == starts
    assert (tmp_path / "out/in/good.png").exists()
    assert "1 of 5 images labelled" in printed.out


_BAD = ("cut.png", "empty.jpg", "text.png")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_any_picture_mode_is_labelled(verb: Predict, tmp_path: Path, mode: str) -> None:
    name = "odd.jpg" if mode == "CMYK" else "odd.png"
    picture = Image.fromarray(np.full((8, 8), 40_000, np.uint16)) if mode == "I;16" else None
    (picture or Image.new("RGB", (8, 8), (0, 255, 0)).convert(mode)).save(tmp_path / name)
    assert verb(name, "--out", "out") == 0
    assert Image.open(tmp_path / "out/odd.png").size == (8, 8)


def test_exif_rotation_is_not_applied(verb: Predict, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    Image.new("RGB", (40, 24)).save(tmp_path / "turned.jpg", exif=exif)
    assert verb("turned.jpg", "--out", "out") == 0
    assert Image.open(tmp_path / "out/turned.png").size == (40, 24)


def test_a_second_run_does_not_label_the_results_of_the_first(
    verb: Predict, tmp_path: Path
) -> None:
    _picture(tmp_path / "in/a.jpg")
    for _ in range(2):
        assert verb("in", "--out", "in/out") == 0
    assert sorted(p.name for p in (tmp_path / "in/out").rglob("*")) == ["a.png", "a_overlay.jpg"]


@pytest.mark.parametrize(("images", "out"), [("a.png", "."), ("in", "in"), ("in", "in/..")])
def test_results_never_land_upon_or_among_the_pictures(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str], images: str, out: str
) -> None:
    _picture(tmp_path / "a.png")
    _picture(tmp_path / "in/b.jpg")
    before = (tmp_path / "a.png").read_bytes()
    status = verb(images, "--out", out)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["b.jpg"]
    if out == "in/..":  # the folder above holds no searched picture
        assert status == 0
    else:
        assert status == 2
        assert "choose another --out" in capsys.readouterr().err


def test_names_keep_sub_folders_and_the_suffix_where_they_would_collide(tmp_path: Path) -> None:
    names = ["day/a.jpg", "day/a.png", "day/deep/a.jpg", "night/a.jpg"]
    for name in names:
        _picture(tmp_path / name)
    found = find_pictures(
        [tmp_path / "day", tmp_path / "night/a.jpg"], tmp_path / "out", (".png", "_overlay.jpg")
    )
    stems = {str(p.relative_to(tmp_path)): str(stem) for p, stem in found.items()}
    assert stems == dict(
        zip(names, ["day/a.jpg", "day/a.png", "day/deep/a", "night/a"], strict=True)
    )


def test_a_picture_given_twice_is_labelled_once(tmp_path: Path) -> None:
    _picture(tmp_path / "in/a.jpg")
    (tmp_path / "in/notes.txt").write_text("no picture")
    found = find_pictures(
        [tmp_path / "in/a.jpg", tmp_path / "in"], tmp_path / "out", (".png", "_overlay.jpg")
    )
    assert list(found.values()) == [Path("a")]


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(UserError, match=r"no pictures found; expected \.bmp, \.jpeg"):
        find_pictures([tmp_path], tmp_path / "out", (".png", "_overlay.jpg"))


def test_place_that_cannot_be_written_is_one_line(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "a.png")
    (tmp_path / "out").write_text("a file, not a folder")
    assert verb("a.png", "--out", "out") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_too_large_a_picture_for_the_device_does_not_stop_the_rest(
    verb: Predict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _picture(tmp_path / "a.png")

    def exhausted(*_: object) -> None:
        raise torch.OutOfMemoryError("tried to allocate 900 GiB")

    monkeypatch.setattr(segmentation_task, "predict_labels", exhausted)
    assert verb("a.png", "--out", "out") == 1
    assert "error: a.png: too large for the memory" in capsys.readouterr().err


def test_normalisation_that_is_unknown_is_refused(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "a.png")
    assert verb("a.png", "--out", "out", card=CARD.updated(normalisation="sepia")) == 2
    assert "'sepia' is none of imagenet, caffe" in capsys.readouterr().err


def test_alpha_outside_0_to_1_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["model", "a.png", "--out", "out", "--alpha", "1.5"])
    assert "1.5 is not between 0 and 1" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m afdcd.predict models:/" in capsys.readouterr().out


def _picture(
    path: Path,
    left: tuple[int, int, int] = (0, 255, 0),
    right: tuple[int, int, int] = (0, 255, 0),
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (40, 24), left)
    picture.paste(right, (20, 0, 40, 24))
    picture.save(path)
