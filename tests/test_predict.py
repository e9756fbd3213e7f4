"""`python -m afdcd.predict`: which files it reads, what it writes, what it does with bad ones."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from afdcd.cli import run
from afdcd.commands import predict
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
    (folder / "broken.jpg").symlink_to("nowhere.jpg")
    (folder / "empty folder.png").mkdir()
    assert verb("in", "gone.jpg", "--out", "out") == 1
    printed = capsys.readouterr()
    errors = sorted(printed.err.splitlines())
    starts = [f"error: {name}: " for name in ("gone.jpg", *(f"in/{n}" for n in _BAD))]
    assert [line[: len(start)] for line, start in zip(errors, starts, strict=True)] == starts
    assert (tmp_path / "out/in/good.png").exists()
    assert "1 of 6 images labelled" in printed.out


_BAD = ("broken.jpg", "cut.png", "empty.jpg", "text.png")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_any_picture_mode_is_labelled(verb: Predict, tmp_path: Path, mode: str) -> None:
    name = "odd.jpg" if mode == "CMYK" else "odd.png"
    picture = Image.fromarray(np.full((8, 8), 40_000, np.uint16)) if mode == "I;16" else None
    (picture or Image.new("RGB", (8, 8), (0, 255, 0)).convert(mode)).save(tmp_path / name)
    assert verb(name, "--out", "out") == 0
    assert Image.open(tmp_path / "out/odd.png").size == (8, 8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff", ".webp"])
def test_the_mask_lies_over_the_picture_as_a_viewer_shows_it(
    verb: Predict, tmp_path: Path, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees: what is left becomes what is above
    picture = Image.new("RGB", (40, 24), (255, 0, 0))
    picture.paste((0, 0, 255), (20, 0, 40, 24))
    picture.save(tmp_path / f"turned{suffix}", exif=exif)
    assert verb(f"turned{suffix}", "--out", "out") == 0
    mask = np.asarray(Image.open(tmp_path / "out/turned.png"))
    assert mask.shape == (40, 24)
    assert mask[:16].max() == 0
    assert mask[24:].min() == 2
    assert Image.open(tmp_path / "out/turned_overlay.jpg").size == (24, 40)


def test_a_guess_about_a_picture_is_told(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.full((8, 8), 4000, np.uint16)).save(tmp_path / "twelve.png")
    frames = [Image.new("RGB", (8, 8), (0, blue, 255)) for blue in (0, 50)]
    frames[0].save(tmp_path / "frames.webp", save_all=True, append_images=frames[1:])
    assert verb("twelve.png", "frames.webp", "--out", "out") == 0
    assert sorted(capsys.readouterr().err.splitlines()) == [
        "note: frames.webp: the first of several pages or frames is read",
        "note: twelve.png: no value above 4095: read as 12 bits in 16",
    ]
    bright = np.asarray(Image.open(tmp_path / "out/twelve_overlay.jpg").convert("L"))
    assert bright.min() > 100  # read as 16 bits it would be 15


def test_what_is_passed_over_is_counted(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "in/a.png")
    for name in ("b.gif", "c.GIF", "notes.txt", "._a.png"):
        (tmp_path / "in" / name).write_bytes(b"GIF89a")
    assert verb("in", "--out", "out") == 0
    printed = capsys.readouterr()
    assert printed.err == "note: passed over, as no pictures: 2 .gif, 1 .txt\n"
    assert "1 of 1 images labelled" in printed.out


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


def test_place_that_cannot_be_written_is_one_line(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "a.png")
    (tmp_path / "out").write_text("a file, not a folder")
    assert verb("a.png", "--out", "out") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def _of_a_gpu() -> None:
    raise torch.OutOfMemoryError("tried to allocate 900 GiB")


@pytest.mark.parametrize(
    "ask",
    [_of_a_gpu, lambda: torch.empty(2**52), lambda: np.empty(2**52)],
    ids=["gpu", "cpu", "np"],
)
def test_too_large_a_picture_for_the_memory_does_not_stop_the_rest(
    verb: Predict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ask: Callable[[], object],
) -> None:
    """Asked for in truth: the words are those of this PyTorch's and NumPy's own allocators."""
    _picture(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    plain = segmentation_task.predict_labels

    def exhausted(network: nn.Module, images: Tensor, *rest: Any) -> Tensor:
        if images.shape[-1] > 8:
            ask()
        return plain(network, images, *rest)

    monkeypatch.setattr(segmentation_task, "predict_labels", exhausted)
    assert verb("a.png", "b.png", "--out", "out") == 1
    printed = capsys.readouterr()
    said = "error: a.png: 40x24 pixels, too large for the memory of cpu: use --window, or scale it down"
    assert printed.err == f"{said}\n"
    assert "1 of 2 images labelled" in printed.out


def test_another_error_of_the_network_is_not_taken_for_too_little_memory(
    verb: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("expected 4 channels, found 3")

    _picture(tmp_path / "a.png")
    monkeypatch.setattr(segmentation_task, "predict_labels", broken)
    with pytest.raises(RuntimeError, match="4 channels"):
        verb("a.png", "--out", "out")


def test_a_picture_beyond_the_limit_is_one_line_and_the_rest_is_labelled(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "in/good.png")
    Image.new("1", (20480, 10240)).save(tmp_path / "in/pano.png")
    assert verb("in", "--out", "out", "--window", "512", "512") == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert line.startswith("error: in/pano.png: 20480x10240 pixels (210 Mpx), more than 200 Mpx: ")
    assert "AFDCD_MAX_MEGAPIXELS=210" in line
    assert "1 of 2 images labelled" in printed.out


def test_an_overlay_that_no_jpeg_holds_is_left_out_with_a_word(
    verb: Predict, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _picture(tmp_path / "in/a.png")
    Image.new("RGB", (66_000, 2)).save(tmp_path / "in/strip.png")
    assert verb("in", "--out", "out") == 0
    printed = capfd.readouterr()
    said = "no strip_overlay.jpg: 66000x2 pixels, a JPEG has 65500 a side"
    assert printed.err == f"note: in/strip.png: {said}\n"
    assert Image.open(tmp_path / "out/strip.png").size == (66_000, 2)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "a.png", "a_overlay.jpg", "strip.png",
    ]  # fmt: skip


def test_a_result_that_cannot_be_written_does_not_stop_the_rest(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "b" * 248  # with .jpg 252 bytes; with _overlay.jpg more than the 255 of a name
    for name in ("a", long, "folder", "z"):
        _picture(tmp_path / f"in/{name}.png")
    (tmp_path / "out/folder_overlay.jpg").mkdir(parents=True)
    assert verb("in", "--out", "out") == 1
    printed = capsys.readouterr()
    first, second = printed.err.splitlines()
    assert (
        first
        == f"error: in/{long}.png: out/{long}_overlay.jpg cannot be written: file name too long"
    )
    assert second.startswith(
        "error: in/folder.png: out/folder_overlay.jpg cannot be written: is a d"
    )
    assert "2 of 4 images labelled" in printed.out
    left = {p.name for p in (tmp_path / "out").iterdir()}
    whole = {"a.png", "a_overlay.jpg", "z.png", "z_overlay.jpg", f"{long}.png", "folder.png"}
    assert left == whole | {"folder_overlay.jpg"}


def test_a_full_disk_ends_the_run_and_leaves_no_half_a_file(
    verb: Predict,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = Path.write_bytes

    def full(path: Path, data: memoryview) -> int:
        plain(path, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("a.png", "b.png"):
        _picture(tmp_path / "in" / name)
    monkeypatch.setattr(Path, "write_bytes", full)
    assert verb("in", "--out", "out") == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: out/a.png: cannot be written: no space left on device; choose another --out"
    ]
    assert list((tmp_path / "out").iterdir()) == []


def test_names_that_are_no_utf_8_are_spelled_out(
    verb: Predict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"stra\xdfe")
    _picture(tmp_path / f"in/{name}.png")
    _picture(tmp_path / "in/two\nlines.png")
    (tmp_path / f"in/bad{name}.jpg").write_bytes(b"")
    assert verb("in", "--out", "out") == 1
    printed = capsys.readouterr()
    assert printed.err == "error: in/badstra\\xdfe.jpg: empty file: fetch it again\n"
    first, second, _ = printed.out.splitlines()
    assert first == "out/stra\\xdfe.png  out/stra\\xdfe_overlay.jpg"
    assert second == "out/two\\nlines.png  out/two\\nlines_overlay.jpg"
    assert (tmp_path / f"out/{name}.png").exists()


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
