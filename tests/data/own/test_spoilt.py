"""One file that cannot be read leaves the others, also where a rule made it all that selects."""

from pathlib import Path

import pytest

from afdcd.cli import run
from afdcd.data.shards.manifest import is_prepared, read_manifest
from afdcd.prepare import main
from tests.data.own.sets import made, written


def _words(folder: Path, keys: tuple[str, ...], *splits: str) -> list[str]:
    files = [
        f"{split}{kind}/{key}.png"
        for split, key in zip(splits or [""] * len(keys), keys, strict=True)
        for kind in ("images", "masks")
    ]
    made(folder / "x", *files)
    written(folder, "classes.yaml", "- {name: a, value: 0}\n- {name: b, value: 1}\n")
    classes = ["--classes", str(folder / "classes.yaml"), "--workers", "1"]
    return ["custom", "--source", str(folder / "x"), "--out", str(folder / "o"), *classes]


def test_the_others_are_split_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = _words(tmp_path, ("v_1", "v_2", "v_3", "v_4"))  # the last of one group selects
    (tmp_path / "x/masks/v_4.png").write_bytes(b"")
    assert run(main, words) == 0
    manifest = read_manifest(str(tmp_path / "o"))
    assert [manifest.rows(split) for split in ("train", "val")] == [2, 1]
    assert "masks/v_4.png: empty file" in manifest.skipped[0]
    assert "masks/v_4.png: empty file" in capsys.readouterr().err


def test_splits_that_the_set_says_are_not_made_anew(tmp_path: Path) -> None:
    words = _words(tmp_path, ("a", "b", "c"), "train/", "train/", "val/")
    (tmp_path / "x/val/masks/c.png").write_bytes(b"")
    assert run(main, words) == 2
    assert not is_prepared(str(tmp_path / "o"))


def test_strict_and_too_few_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = _words(tmp_path, ("v_1", "v_2"))
    (tmp_path / "x/masks/v_2.png").write_bytes(b"")
    for more in ([], ["--strict"]):
        assert run(main, [*words, *more]) == 2
        assert "val loses all its images; 1 unusable files" in capsys.readouterr().err
