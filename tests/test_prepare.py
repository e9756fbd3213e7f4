"""The verb as a person uses it: arguments in, files and exit status out."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd import prepare, storage
from afdcd.cli import run
from afdcd.commands import prepare as preparing
from afdcd.data.catalog.datasets import CAMVID as CAMVID_SET
from afdcd.data.catalog.datasets import DATASETS, prepare_command
from afdcd.data.catalog.splits import SPLITS
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.manifest import is_prepared, read_manifest
from afdcd.data.shards.rows import open_split
from afdcd.prepare import main
from tests.data.raw.layouts import LAYOUTS
from tests.running import ROOT, until
from tests.samples import CAMVID, needs_samples
from tests.stores import s3_server, store

__all__ = ["s3_server", "store"]  # fixtures


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    source = tmp_path / "raw"
    for split, key in (("train", "0016E5_00390"), ("val", "0016E5_07959"), ("test", "Seq05VD_f0")):
        for folder in (split, f"{split}annot"):
            (source / folder).mkdir(parents=True)
            pixels = np.zeros((36, 48, 3) if folder == split else (36, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(source / folder / f"{key}.png")
    return source


def _prepare(source: Path, root: Path | str, *more: str) -> list[str]:
    return ["camvid", "--source", str(source), "--out", str(root), "--workers", "1", *more]


def test_camvid_then_show(raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, pictures = str(tmp_path / "out"), tmp_path / "pictures"
    assert run(main, _prepare(raw, root, "--jpeg-quality", "90")) == 0
    printed = capsys.readouterr()
    digest = read_manifest(root, "camvid").digest
    assert f"train 1, val 1, test 1 images, 0.0 MB, digest {digest}" in printed.out
    assert re.search(r"^3 images, [\d.]+ images/s, [\d.]+ MB/s$", printed.err, re.MULTILINE)
    assert f"warning: {raw}: train has 1 images, published 367" in printed.err
    assert run(main, ["show", root, "--out", str(pictures)]) == 0
    shown = capsys.readouterr().out
    for text in (
        f"train 1, val 1, test 1 images, 0.0 MB, digest {digest}",
        "shards    train 1, val 1, test 1",
        "source    CamVid, SegNet folders (no list, no list, no list), 1/1/1 images",
        "encoding  SegNet numbers, 11 = void",
        "options   jpeg_quality 90",
        "left out  0 unusable files",
        "sha256    all 3 shards and the index are as written",
        "Sky            100.000  100.000  100.000",
        "(ignored)        0.000    0.000    0.000",
    ):
        assert " ".join(text.split()) in " ".join(shown.split()), text
    for kind in ("histogram", "sheet"):
        assert Image.open(pictures / f"camvid-{kind}.png").width > 500
        assert f"{pictures}/camvid-{kind}.png" in shown


def test_show_writes_here_by_default_and_names_what_was_left_out(
    raw: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (raw / "train" / "0006R0_f00930.png").write_bytes(b"<html>sign in</html>")
    (raw / "trainannot" / "0006R0_f00930.png").write_bytes(
        (raw / "trainannot" / "0016E5_00390.png").read_bytes()
    )
    assert run(main, _prepare(raw, "out")) == 0
    assert run(main, ["show", "out"]) == 0
    assert "train/0006R0_f00930.png: HTML page" in capsys.readouterr().out
    assert (tmp_path / "camvid-sheet.png").is_file()


def test_show_refuses_a_changed_shard(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "out"
    assert run(main, _prepare(raw, root)) == 0
    shard = root / "val-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    assert run(main, ["show", str(root), "--out", str(tmp_path)]) == 2
    assert f"{shard}: differs from its sha256" in capsys.readouterr().err


def test_second_preparation_into_one_folder_is_refused(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _prepare(raw, tmp_path / "out")
    assert run(main, arguments) == 0
    capsys.readouterr()
    assert run(main, arguments) == 2
    assert "holds a prepared data set" in capsys.readouterr().err


def test_strict_is_status_2_without_traceback(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = replace(CAMVID_SET, counts={"train": 1, "val": 1, "test": 1})
    monkeypatch.setattr(preparing, "dataset_named", lambda name: exact)
    label = raw / "testannot" / "Seq05VD_f0.png"
    label.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    (raw / "test" / "Seq05VD_f1.png").write_bytes((raw / "test" / "Seq05VD_f0.png").read_bytes())
    assert run(main, _prepare(raw, tmp_path / "out", "--strict")) == 2
    assert "error: " in capsys.readouterr().err
    exact.counts["test"] = 2
    assert run(main, _prepare(raw, tmp_path / "out", "--strict")) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert lines[0].startswith(f"error: {label}: git-LFS pointer")
    assert not is_prepared(str(tmp_path / "out"))


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_from_the_folder_to_the_rows(name: str, tmp_path: Path) -> None:
    raw = LAYOUTS[name](tmp_path / "raw")
    verb, _, classes = raw.dataset.partition("_stuff_")
    command = [f"{verb}_stuff", "--classes", classes] if classes else [raw.dataset]
    root = str(tmp_path / "out")
    arguments = [*command, "--source", str(raw.source), "--out", root, "--workers", "1"]
    assert run(main, arguments) == 0
    manifest = read_manifest(root, raw.dataset)
    assert manifest.skipped == ()
    for split in SPLITS:
        expected = {key: ids for (s, key), ids in raw.truth.items() if s == split}
        assert manifest.rows(split) == len(expected)
        if not expected:
            continue
        for key, image, label in open_split(root, raw.dataset, "official", split):
            assert image.shape[:2] == label.shape
            truth = expected.pop(key)
            np.testing.assert_array_equal(label, IGNORE if truth is None else truth)
        assert not expected


@pytest.mark.parametrize("name", DATASETS)
def test_command_that_prepares_is_one_that_prepare_understands(name: str) -> None:
    words = prepare_command(name, "OUT").split()
    assert words[:3] == ["python", "-m", "afdcd.prepare"]
    arguments = prepare.parser().parse_args(words[3:])
    classes = getattr(arguments, "classes", None)
    assert arguments.command == name.removesuffix(f"_{classes}")
    assert classes in (None, len(DATASETS[name].classes))


def test_classes_of_coco_stuff_are_an_option_not_commands_of_their_own() -> None:
    with pytest.raises(SystemExit):
        main(["coco_stuff_172", "--source", "raw", "--out", "x"])


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
        (["camvid", "--source", "nowhere", "--max-side", "1"], "max_side"),
        (["camvid", "--source", "nowhere", "--workers", "0"], "--workers 0: must be at least 1"),
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
def test_a_slice_of_real_camvid(tmp_path: Path) -> None:
    source, root = tmp_path / "raw", str(tmp_path / "out")
    subprocess.run([sys.executable, CAMVID / "unpack.py", source, "--limit", "6"], check=True)
    assert run(main, _prepare(source, root)) == 0
    manifest = read_manifest(root, "camvid")
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [6, 6, 6]
    assert sum(manifest.pixels["train"]) == 6 * 360 * 480
    key, image, label = open_split(root, "camvid", "official", "val")[0]
    assert (key, image.shape) == ("0016E5_07959", (360, 480, 3))
    original = np.asarray(Image.open(source / "valannot" / f"{key}.png"))
    np.testing.assert_array_equal(label, np.where(original == 11, 255, original))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """96 pairs: enough for eight shards of each split."""
    source = tmp_path / "many"
    pixels = np.random.default_rng(0).integers(0, 256, (36, 48, 3), dtype=np.uint8)
    for split, count in (("train", 80), ("val", 8), ("test", 8)):
        for folder in (split, f"{split}annot"):
            (source / folder).mkdir(parents=True)
        for number in range(count):
            key = f"0016E5_{split}{number:03d}"
            Image.fromarray(pixels).save(source / split / f"{key}.png", compress_level=1)
            Image.fromarray(pixels[:, :, 0] % 12).save(source / f"{split}annot" / f"{key}.png")
    return source


def _command(source: Path, root: Path | str, *more: str) -> list[str]:
    return [sys.executable, "-m", "afdcd.prepare", *_prepare(source, root, "--shards", "8", *more)]


# The verb, which says when it has written a third shard and stays there, its receipt not yet written.
_PAUSES = """
import sys, time
from afdcd import prepare, storage
from afdcd.cli import run

receipts, write_bytes = [], storage.write_bytes

def pauses(uri, data):
    if "/.parts/" in uri:
        receipts.append(uri)
        if len(receipts) == 3:
            print("paused", flush=True)
            while True:
                time.sleep(0.1)
    write_bytes(uri, data)

storage.write_bytes = pauses
sys.exit(run(prepare.main))
"""


def _killed_midway(source: Path, root: Path | str, how: int) -> int:
    """Prepare, and send the process `how` while it has work left; its exit status."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PAUSES, *_prepare(source, root, "--shards", "8")],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        until(process, "paused")
        process.send_signal(how)
        return process.wait()
    finally:
        process.kill()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)]
)
def test_a_killed_process_leaves_nothing_that_looks_complete_and_goes_on(
    many: Path, tmp_path: Path, how: int, status: int
) -> None:
    root, whole = tmp_path / "out", tmp_path / "whole"
    assert _killed_midway(many, root, how) == status
    assert not is_prepared(str(root))
    done = [path.name.removesuffix(".json") for path in root.glob(".parts/*.json")]
    times = {name: (root / name).stat().st_mtime_ns for name in done}
    assert len(done) == 2
    again = subprocess.run(_command(many, root), cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "kept from an earlier run" in again.stderr
    assert times == {name: (root / name).stat().st_mtime_ns for name in done}
    assert run(main, _prepare(many, whole, "--shards", "8")) == 0
    assert sorted(p.name for p in root.iterdir()) == sorted(p.name for p in whole.iterdir())
    for path in whole.iterdir():
        assert path.read_bytes() == (root / path.name).read_bytes(), path.name


@pytest.mark.timeout(180)
def test_to_s3_and_back(
    many: Path, tmp_path: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = f"{store}/camvid"
    _killed_midway(many, root, signal.SIGKILL)
    assert run(main, ["show", root, "--out", str(tmp_path)]) == 2
    assert "no prepared data set here" in capsys.readouterr().err
    assert run(main, _prepare(many, root, "--shards", "8")) == 0
    assert "kept from an earlier run" in capsys.readouterr().err
    assert run(main, _prepare(many, tmp_path / "disk", "--shards", "8")) == 0
    assert read_manifest(root) == read_manifest(str(tmp_path / "disk"))
    assert storage.names(root) == sorted(path.name for path in (tmp_path / "disk").iterdir())
    key, image, _ = open_split(root, "camvid", "official", "val")[3]
    np.testing.assert_array_equal(image, np.asarray(Image.open(many / "val" / f"{key}.png")))
    assert run(main, ["show", root, "--out", f"{store}/pictures"]) == 0
    assert storage.names(f"{store}/pictures") == ["camvid-histogram.png", "camvid-sheet.png"]


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(180)
def test_two_workers_on_ray_write_the_same_bytes(many: Path, tmp_path: Path) -> None:
    root, whole = tmp_path / "out", tmp_path / "whole"
    (many / "trainannot" / "0016E5_train007.png").write_bytes(b"")
    command = _command(many, root, "--workers", "2")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("PYTEST_CURRENT_TEST", None)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "96 images, " in done.stderr
    assert f"{many}/trainannot/0016E5_train007.png: empty file" in done.stderr
    assert "Traceback" not in done.stderr
    assert run(main, _prepare(many, whole, "--shards", "8")) == 0
    for path in whole.iterdir():
        assert path.read_bytes() == (root / path.name).read_bytes(), path.name
