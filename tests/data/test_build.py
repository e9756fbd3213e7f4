from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.build import BuildOptions, build
from afdcd.data.catalog import CAMVID
from afdcd.data.convert.camvid import find_camvid
from afdcd.data.manifest import Manifest, is_prepared, read_manifest


def _build(raw: Path, root: Path, **options: object) -> tuple[Manifest, list[str]]:
    return build(str(root), CAMVID, find_camvid(raw, CAMVID), BuildOptions(**options))


def test_manifest_counts_rows_and_pixels(raw: Path, tmp_path: Path) -> None:
    manifest, _ = _build(raw, tmp_path / "a", shards=2)
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [5, 2, 2]
    labels = [np.asarray(Image.open(path)) for path in (raw / "valannot").iterdir()]
    expected = np.bincount(np.concatenate(labels).ravel(), minlength=12)
    assert manifest.pixels["val"] == tuple(expected.tolist())
    assert [(shard.file, len(shard.keys)) for shard in manifest.shards[:2]] == [
        ("train-00000-of-00002.parquet", 2),
        ("train-00001-of-00002.parquet", 3),
    ]


def test_equal_input_gives_equal_bytes(raw: Path, tmp_path: Path) -> None:
    first, _ = _build(raw, tmp_path / "a")
    moved = raw.rename(tmp_path / "elsewhere")
    second, _ = _build(moved, tmp_path / "b")
    assert first.digest == second.digest
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_digest_follows_the_content(raw: Path, tmp_path: Path) -> None:
    first, _ = _build(raw, tmp_path / "a")
    path = raw / "test" / "Seq05VD_f00000.png"
    pixels = np.array(Image.open(path))
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    second, _ = _build(raw, tmp_path / "b")
    assert first.digest != second.digest


def _break_three_files(raw: Path) -> None:
    (raw / "train" / "0001TP_006690.png").write_bytes(b"")
    Image.fromarray(np.full((24, 32), 77, np.uint8)).save(raw / "valannot" / "0016E5_07959.png")
    (raw / "testannot" / "Seq05VD_f00030.png").unlink()


def test_all_offenders_are_reported_at_once_and_nothing_is_complete(
    raw: Path, tmp_path: Path
) -> None:
    _break_three_files(raw)
    with pytest.raises(UserError) as error:
        _build(raw, tmp_path / "a")
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{raw}/train/0001TP_006690.png: empty file: ")
    assert lines[1].startswith(
        f"{raw}/valannot/0016E5_07959.png: label values of no class: 77 (768"
    )
    assert lines[2].startswith(f"{raw}/testannot/Seq05VD_f00030.png: missing file: ")
    assert "3 unusable files" in lines[3]
    assert "--skip-bad" in lines[3]
    assert not is_prepared(str(tmp_path / "a"))


def test_skip_bad_leaves_them_out_and_records_them(raw: Path, tmp_path: Path) -> None:
    _break_three_files(raw)
    manifest, _ = _build(raw, tmp_path / "a", skip_bad=True)
    assert read_manifest(str(tmp_path / "a")) == manifest
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [4, 1, 1]
    assert [line.partition(":")[0] for line in manifest.skipped] == [
        "train/0001TP_006690.png",
        "valannot/0016E5_07959.png",
        "testannot/Seq05VD_f00030.png",
    ]
    assert manifest.options["skip_bad"] is True


def test_unpublished_count_warns_and_is_an_error_when_strict(raw: Path, tmp_path: Path) -> None:
    _, warnings = _build(raw, tmp_path / "a")
    assert f"{raw}: train has 5 images, published 367" in warnings
    with pytest.raises(UserError, match="test has 2 images, published 233"):
        _build(raw, tmp_path / "b", strict=True)
    assert not (tmp_path / "b").exists()


def test_remarks_are_counted(raw: Path, tmp_path: Path) -> None:
    for key in ("0001TP_006690", "0001TP_006720"):
        Image.open(raw / "train" / f"{key}.png").convert("L").save(raw / "train" / f"{key}.png")
    _, warnings = _build(raw, tmp_path / "a")
    assert "2 images: stored as L, read as RGB" in warnings


def test_a_frame_in_two_splits_is_refused(raw: Path, tmp_path: Path) -> None:
    with (raw / "test.txt").open("a") as listing:
        listing.write("train/0001TP_006690.png trainannot/0001TP_006690.png\n")
    with pytest.raises(UserError, match="0001TP_006690 is listed 2 times"):
        _build(raw, tmp_path / "a")
