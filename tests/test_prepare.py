"""The verb as a person uses it: arguments in, files and exit status out."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.cli import run
from afdcd.data.manifest import is_prepared, read_manifest
from afdcd.data.rows import open_split
from afdcd.prepare import main
from tests.samples import CAMVID, SAMPLES, needs_samples


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    source = tmp_path / "raw"
    for split, key in (("train", "0016E5_00390"), ("val", "0016E5_07959"), ("test", "Seq05VD_f0")):
        for folder in (split, f"{split}annot"):
            (source / folder).mkdir(parents=True)
            pixels = np.zeros((36, 48, 3) if folder == split else (36, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(source / folder / f"{key}.png")
    return source


def test_camvid_then_show(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, sheet = str(tmp_path / "out"), tmp_path / "sheet.png"
    assert run(main, ["camvid", "--source", str(raw), "--out", root, "--jpeg-quality", "90"]) == 0
    printed = capsys.readouterr()
    digest = read_manifest(root, "camvid").digest
    assert f"train 1, val 1, test 1 images, 0.0 MB, digest {digest}" in printed.out
    assert "images/s" in printed.err
    assert f"warning: {raw}: train has 1 images, published 367" in printed.err
    assert run(main, ["show", root, "--out", str(sheet)]) == 0
    table = capsys.readouterr().out
    assert "Sky             100.000  100.000  100.000" in table
    assert "(ignored)         0.000" in table
    assert Image.open(sheet).size == (1440, 180)


def test_second_preparation_into_one_folder_is_refused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["camvid", "--source", str(raw), "--out", str(tmp_path / "out")]
    assert run(main, arguments) == 0
    capsys.readouterr()
    assert run(main, arguments) == 2
    assert "holds a prepared data set" in capsys.readouterr().err


def test_bad_file_is_status_2_without_traceback(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = raw / "trainannot" / "0016E5_00390.png"
    label.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    arguments = ["camvid", "--source", str(raw), "--out", str(tmp_path / "out")]
    assert run(main, arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(f"error: {label}: git-LFS pointer")
    assert all(line.startswith("error: ") for line in lines)
    assert not is_prepared(str(tmp_path / "out"))
    assert run(main, [*arguments, "--skip-bad"]) == 0
    assert "warning: left out: trainannot/0016E5_00390.png: git-LFS" in capsys.readouterr().err


def test_synthetic_of_a_chosen_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(tmp_path / "synthetic")
    sizes = ["--height", "64", "--width", "80", "--train", "2", "--val", "1", "--test", "1"]
    assert run(main, ["synthetic", "--out", root, "--seed", "5", *sizes]) == 0
    key, image, _ = open_split(root, "synthetic", "official", "train")[1]
    assert (key, image.shape) == ("train0000_1", (64, 80, 3))
    assert "train 2, val 1, test 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["synthetic", "--height", "8"], "height"),
        (["camvid", "--source", "nowhere"], "nowhere: no such folder"),
        (["camvid", "--source", "nowhere", "--jpeg-quality", "101"], "jpeg_quality"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, [*arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_show_of_an_empty_folder_names_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(main, ["show", str(tmp_path), "--out", str(tmp_path / "x.png")]) == 2
    assert "run `python -m afdcd.prepare" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m afdcd.prepare camvid --source" in capsys.readouterr().out


@needs_samples
def test_colour_labels_of_a_real_fixture_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = SAMPLES / "layout_fixtures_datumaro" / "camvid_dataset"
    arguments = ["camvid", "--source", str(source), "--out", str(tmp_path / "out")]
    assert run(main, arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum("RGB label, one number per pixel expected" in line for line in lines) == 4


@needs_samples
@pytest.mark.timeout(60)
def test_a_slice_of_real_camvid(tmp_path: Path) -> None:
    source, root = tmp_path / "raw", str(tmp_path / "out")
    subprocess.run([sys.executable, CAMVID / "unpack.py", source, "--limit", "6"], check=True)
    assert run(main, ["camvid", "--source", str(source), "--out", root]) == 0
    manifest = read_manifest(root, "camvid")
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [6, 6, 6]
    assert sum(manifest.pixels["train"]) == 6 * 360 * 480
    key, image, label = open_split(root, "camvid", "official", "val")[0]
    assert (key, image.shape) == ("0016E5_07959", (360, 480, 3))
    original = np.asarray(Image.open(source / "valannot" / f"{key}.png"))
    np.testing.assert_array_equal(label, np.where(original == 11, 255, original))
