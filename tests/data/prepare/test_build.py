import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.datasets import CAMVID
from afdcd.data.prepare import build as building
from afdcd.data.prepare.build import BuildOptions, build
from afdcd.data.prepare.part import RECEIPTS, Part, Progress, Receipt, in_turn, write_part
from afdcd.data.prepare.report import Report
from afdcd.data.raw.camvid import find_camvid
from afdcd.data.shards.manifest import Manifest, is_prepared, read_manifest

LABEL = "trainannot/0001TP_006690.png"


def _build(raw: Path, root: Path, **options: object) -> tuple[Manifest, Report]:
    return build(str(root), CAMVID, find_camvid(raw, CAMVID), BuildOptions(**options))


def _files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in root.iterdir() if path.is_file()}


class _Killed(BaseException):
    """Not an Exception: nothing may tidy up after it, as nothing does after kill -9."""


def _killed_after(finished: int, raw: Path, root: Path, **options: object) -> None:
    """Stop after so many finished shards."""

    def mapper(where: str, parts: Sequence[Part], progress: Progress) -> Iterator[Receipt]:
        for part in parts[:finished]:
            yield write_part(where, part, progress)
        raise _Killed

    with pytest.raises(_Killed):
        build(str(root), CAMVID, find_camvid(raw, CAMVID), BuildOptions(**options), mapper=mapper)


def test_manifest_counts_rows_and_pixels(raw: Path, tmp_path: Path) -> None:
    manifest, _ = _build(raw, tmp_path / "a", shards=2)
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [5, 2, 2]
    labels = [np.asarray(Image.open(path)) for path in (raw / "valannot").iterdir()]
    expected = np.bincount(np.concatenate(labels).ravel(), minlength=12)
    assert manifest.pixels["val"] == tuple(expected.tolist())
    assert [(shard.file, shard.rows) for shard in manifest.shards[:2]] == [
        ("train-00000-of-00002.parquet", 2),
        ("train-00001-of-00002.parquet", 3),
    ]
    assert manifest.label_table["11"] == 255
    assert manifest.label_table["10"] == 10


def test_equal_input_gives_equal_bytes(raw: Path, tmp_path: Path) -> None:
    first, _ = _build(raw, tmp_path / "a")
    moved = raw.rename(tmp_path / "elsewhere")
    second, _ = _build(moved, tmp_path / "b", strict=False)
    assert first.digest == second.digest
    before, after = _files(tmp_path / "a"), _files(tmp_path / "b")
    assert before.pop("report.txt") != after.pop("report.txt")  # they name the folder
    assert before == after


def test_digest_follows_the_content(raw: Path, tmp_path: Path) -> None:
    first, _ = _build(raw, tmp_path / "a")
    _change(raw / "test" / "Seq05VD_f00000.png")
    second, _ = _build(raw, tmp_path / "b")
    assert first.digest != second.digest


def _change(path: Path) -> None:
    pixels = np.array(Image.open(path))
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)


def test_a_killed_run_goes_on_and_keeps_finished_shards(raw: Path, tmp_path: Path) -> None:
    _build(raw, tmp_path / "whole", shards=2)
    root = tmp_path / "a"
    _killed_after(3, raw, root, shards=2)
    (root / f".val-00001-of-00002.parquet.{'0' * 32}.tmp").write_bytes(b"cut short")
    assert not is_prepared(str(root))
    times = {path.name: path.stat().st_mtime_ns for path in root.glob("*.parquet")}
    assert len(times) == 3
    _build(raw, root, shards=2)
    assert _files(root) == _files(tmp_path / "whole")
    assert not (root / RECEIPTS).exists()
    assert {name: (root / name).stat().st_mtime_ns for name in times} == times


def test_the_order_of_finishing_does_not_matter(raw: Path, tmp_path: Path) -> None:
    def backwards(root: str, parts: Sequence[Part], progress: Progress) -> Iterator[Receipt]:
        return in_turn(root, parts[::-1], progress)

    _build(raw, tmp_path / "a", shards=2)
    layout, options = find_camvid(raw, CAMVID), BuildOptions(shards=2)
    build(str(tmp_path / "b"), CAMVID, layout, options, mapper=backwards)
    assert _files(tmp_path / "a") == _files(tmp_path / "b")


def _damaged_receipt(raw: Path, root: Path) -> None:
    next((root / RECEIPTS).glob("train-00000*")).write_text("{")


def _shard_cut_short(raw: Path, root: Path) -> None:
    shard = root / "train-00000-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-1])


def _source_changed(raw: Path, root: Path) -> None:
    _change(raw / "train" / "0001TP_006690.png")


@pytest.mark.parametrize("spoil", [_damaged_receipt, _shard_cut_short, _source_changed])
def test_only_what_does_not_hold_any_more_is_done_again(
    raw: Path, tmp_path: Path, spoil: Callable[[Path, Path], None]
) -> None:
    root = tmp_path / "a"
    _killed_after(2, raw, root, shards=2)
    spoil(raw, root)
    written: list[str] = []

    def mapper(where: str, parts: Sequence[Part], progress: Progress) -> Iterator[Receipt]:
        written.extend(part.file for part in parts)
        return in_turn(where, parts, progress)

    layout, options = find_camvid(raw, CAMVID), BuildOptions(shards=2)
    build(str(root), CAMVID, layout, options, mapper=mapper)
    assert "train-00000-of-00002.parquet" in written
    assert "train-00001-of-00002.parquet" not in written
    _build(raw, tmp_path / "whole", shards=2)
    assert _files(root) == _files(tmp_path / "whole")


@pytest.mark.parametrize("options", [{"jpeg_quality": 90}, {"max_side": 16}, {"shards": 1}])
def test_other_options_reuse_nothing_and_leave_nothing_behind(
    raw: Path, tmp_path: Path, options: dict[str, int]
) -> None:
    root = tmp_path / "a"
    _killed_after(3, raw, root, shards=2)
    _build(raw, root, **{"shards": 2, **options})
    _build(raw, tmp_path / "whole", **{"shards": 2, **options})
    assert _files(root) == _files(tmp_path / "whole")


def test_a_run_killed_while_it_tidied_is_complete(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a"
    with monkeypatch.context() as patch:
        patch.setattr(building, "_sweep", lambda *_: None)
        first, _ = _build(raw, root)
    with pytest.raises(UserError, match="holds a prepared data set"):
        _build(raw, root, jpeg_quality=90)
    assert _build(raw, root)[0] == first
    assert not (root / RECEIPTS).exists()
    with pytest.raises(UserError, match="holds a prepared data set"):
        _build(raw, root)


def _break_three_files(raw: Path) -> None:
    (raw / "train" / "0001TP_006690.png").write_bytes(b"")
    Image.fromarray(np.full((24, 32), 77, np.uint8)).save(raw / "valannot" / "0016E5_07959.png")
    (raw / "testannot" / "Seq05VD_f00030.png").unlink()


def test_unusable_files_are_left_out_and_reported(raw: Path, tmp_path: Path) -> None:
    _break_three_files(raw)
    manifest, report = _build(raw, tmp_path / "a")
    assert read_manifest(str(tmp_path / "a")) == manifest
    assert [manifest.rows(split) for split in ("train", "val", "test")] == [4, 1, 1]
    assert manifest.skipped == report.offences
    lines = report.brief()
    assert lines[0].startswith(f"{raw}/train/0001TP_006690.png: empty file: ")
    assert lines[1].startswith(
        f"{raw}/valannot/0016E5_07959.png: label values of no class: 77 (768"
    )
    assert lines[2].startswith(f"{raw}/testannot/Seq05VD_f00030.png: missing file: ")
    written = (tmp_path / "a" / "report.txt").read_text()
    assert all(line in written for line in lines)
    assert "train has 5 images, published 367" in written
    assert "images: 32x24 pixels, published 480x360, e.g. train/" in written


def test_strict_reports_all_of_them_and_prepares_nothing(raw: Path, tmp_path: Path) -> None:
    _break_three_files(raw)
    counts = {"train": 5, "val": 2, "test": 2}
    exact = replace(CAMVID, counts=counts)
    root = str(tmp_path / "a")
    with pytest.raises(UserError) as error:
        build(root, exact, find_camvid(raw, CAMVID), BuildOptions(strict=True))
    lines = str(error.value).splitlines()
    assert [line.partition(": ")[0].rpartition("/")[2] for line in lines[:3]] == [
        "0001TP_006690.png",
        "0016E5_07959.png",
        "Seq05VD_f00030.png",
    ]
    assert "3 unusable files, nothing prepared: mend them, or leave --strict away" in lines[3]
    assert "missing file" in (tmp_path / "a" / "report.txt").read_text()
    assert not is_prepared(root)
    build(root, exact, find_camvid(raw, CAMVID), BuildOptions())
    assert is_prepared(root)


def test_only_the_first_twenty_are_listed(raw: Path, tmp_path: Path) -> None:
    keys = [f"0006R0_f{number:05d}" for number in range(23)]
    with (raw / "train.txt").open("a") as listing:
        listing.writelines(f"train/{key}.png trainannot/{key}.png\n" for key in keys)
    _, report = _build(raw, tmp_path / "a")
    assert len(report.offences) == 46  # image and label of each
    assert len(report.brief()) == 21
    assert report.brief()[20] == f"and 26 more in {tmp_path}/a/report.txt"
    assert (tmp_path / "a" / "report.txt").read_text().count("missing file: ") == 46


def test_a_split_that_loses_everything_is_refused(raw: Path, tmp_path: Path) -> None:
    for path in (raw / "testannot").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="test loses all its images; 2 unusable files"):
        _build(raw, tmp_path / "a")
    assert not is_prepared(str(tmp_path / "a"))


def test_a_split_without_a_pair_is_refused_where_it_is_needed(raw: Path, tmp_path: Path) -> None:
    (raw / "test.txt").write_text("")
    manifest, _ = _build(raw, tmp_path / "a")
    assert (manifest.rows("test"), sum(manifest.pixels["test"])) == (0, 0)
    assert not list((tmp_path / "a").glob("test-*"))
    (raw / "val.txt").write_text("")
    with pytest.raises(UserError, match=f"{raw}: no pair for val"):
        _build(raw, tmp_path / "b")


def test_unpublished_count_warns_and_is_an_error_when_strict(raw: Path, tmp_path: Path) -> None:
    _, report = _build(raw, tmp_path / "a")
    assert "train has 5 images, published 367" in report.warnings
    with pytest.raises(UserError, match=f"{raw}: test has 2 images, published 233"):
        _build(raw, tmp_path / "b", strict=True)
    assert not (tmp_path / "b").exists()


def test_remarks_are_counted_over_shards(raw: Path, tmp_path: Path) -> None:
    for key in ("0001TP_006690", "0006R0_f00960"):
        Image.open(raw / "train" / f"{key}.png").convert("L").save(raw / "train" / f"{key}.png")
    _, report = _build(raw, tmp_path / "a", shards=2)
    first = "train/0001TP_006690.png"
    assert f"2 images: stored as L, read as RGB, e.g. {first}" in report.remarks


def test_a_frame_in_two_splits_is_refused(raw: Path, tmp_path: Path) -> None:
    with (raw / "test.txt").open("a") as listing:
        listing.write("train/0001TP_006690.png trainannot/0001TP_006690.png\n")
    with pytest.raises(UserError, match="0001TP_006690 is listed 2 times"):
        _build(raw, tmp_path / "a")


def test_names_that_are_no_utf_8_are_left_out_and_reported(raw: Path, tmp_path: Path) -> None:
    """What unpacking a zip from Windows leaves: a key that no shard, manifest or report can hold."""
    for split in ("train", "val", "test"):
        (raw / f"{split}.txt").unlink()
    name = os.fsdecode(b"stra\xdfe.png")
    for folder in ("train", "trainannot"):
        shutil.copy(raw / folder / "0001TP_006690.png", raw / folder / name)
    moved = raw.rename(tmp_path / os.fsdecode(b"r\xe4w"))
    manifest, report = _build(moved, tmp_path / "a")
    assert manifest.rows("train") == 5
    remedy = "its name is no UTF-8, and names are kept as keys: rename it (convmv "
    image, label = manifest.skipped
    assert image.startswith(f"train/stra\\xdfe.png: {remedy}")
    assert label.startswith(f"trainannot/stra\\xdfe.png: {remedy}")
    assert f"r\\xe4w/train/stra\\xdfe.png: {remedy}" in (tmp_path / "a/report.txt").read_text()
    assert report.brief()


def test_a_set_that_dev_cannot_select_on_is_told_when_it_is_prepared(
    raw: Path, tmp_path: Path
) -> None:
    lacking = replace(CAMVID, held_out=lambda key: False)
    layout = find_camvid(raw, CAMVID)
    _, report = build(str(tmp_path / "a"), lacking, layout, BuildOptions())
    assert any(
        "dev selects on the sequence 0006R0 of train, of which there is none" in w
        for w in report.warnings
    )
    _, report = build(
        str(tmp_path / "b"), replace(CAMVID, held_out=lambda key: True), layout, BuildOptions()
    )
    assert not any("protocol dev" in warning for warning in report.warnings)
