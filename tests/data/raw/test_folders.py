"""Listing raw folders: what counts as a picture, and what systems left among them."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.raw.folders import files_in, folders_in, keys_in, pictures


def test_pictures_have_every_suffix_that_is_read_and_litter_is_none(tmp_path: Path) -> None:
    names = ["a.jpe", "b.jfif", "c.TIF", "d.png"]
    for name in (*names, "._a.jpe", "Thumbs.db", "e.gif", "__MACOSX/a.png", "deep/f.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(pictures(tmp_path, "").values()) == names
    listed = sorted(path for _, path in files_in(tmp_path, "", depth=1))
    assert listed == [*names[:3], "d.png", "deep/f.png", "e.gif"]
    assert folders_in(tmp_path, "") == ["deep"]


def test_a_link_that_leads_to_itself_is_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("a.png")
    assert pictures(tmp_path, "", depth=1) == {"a": "a.png"}
    assert folders_in(tmp_path, "") == []


def test_lists_that_a_windows_editor_saved_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwö\n", encoding="utf-16")
    assert keys_in(tmp_path / "a.txt") == ["one", "twö"]
    (tmp_path / "b.txt").write_bytes("one\ntwö\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"b\.txt: .*no UTF-8 \(byte 6\); save it as UTF-8"):
        keys_in(tmp_path / "b.txt")


def test_names_with_blanks_in_a_list_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x\nmy picture 1\n")
    with pytest.raises(UserError, match=r"a\.txt:2: .*'my picture 1'; blanks part names"):
        keys_in(tmp_path / "a.txt")
