"""Which pictures `predict` finds, which it passes over, and where their results will lie."""

import os
from pathlib import Path

import pytest
from PIL import Image

from afdcd.commands.pictures import Found, find_pictures
from afdcd.config import UserError


def _picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)


def _find(tmp_path: Path, *given: str, out: str = "out") -> Found:
    return find_pictures(
        [tmp_path / name for name in given], tmp_path / out, (".png", "_overlay.jpg")
    )


def _names(found: Found, below: Path) -> list[str]:
    return sorted(str(path.relative_to(below)) for path in found.stems)


def test_names_keep_sub_folders_and_the_suffix_where_they_would_collide(tmp_path: Path) -> None:
    names = ["day/a.jpg", "day/a.png", "day/deep/a.jpg", "night/a.jpg"]
    for name in names:
        _picture(tmp_path / name)
    found = _find(tmp_path, "day", "night/a.jpg")
    stems = {str(path.relative_to(tmp_path)): str(stem) for path, stem in found.stems.items()}
    expected = ["day/a.jpg", "day/a.png", "day/deep/a", "night/a"]
    assert stems == dict(zip(names, expected, strict=True))


def test_a_picture_given_twice_is_labelled_once(tmp_path: Path) -> None:
    _picture(tmp_path / "in/a.jpg")
    assert list(_find(tmp_path, "in/a.jpg", "in").stems.values()) == [Path("a")]


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    expected = r"no pictures found; expected \.bmp, \.jfif, .* files; passed over: 1 \.txt"
    with pytest.raises(UserError, match=expected):
        _find(tmp_path, ".")


def test_every_suffix_that_is_read_is_found_and_the_others_are_counted(tmp_path: Path) -> None:
    names = ["a.TIF", "b.tiff", "c.jfif", "d.jpe", "e.webp"]
    others = ["f.gif", "g.gif", "h.txt", "README"]
    (tmp_path / "in").mkdir()
    for name in (*names, *others):
        (tmp_path / "in" / name).touch()
    found = _find(tmp_path, "in")
    assert _names(found, tmp_path / "in") == names
    assert found.others == "2 .gif, 1 .txt, 1 without suffix"


def test_hidden_files_and_what_systems_leave_behind_are_left_out(tmp_path: Path) -> None:
    left = ["._a.jpg", ".ipynb_checkpoints/a-checkpoint.jpg", "__MACOSX/._a.jpg", "Thumbs.db"]
    for name in ("a.jpg", *left):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = _find(tmp_path, "in")
    assert (_names(found, tmp_path / "in"), found.others) == (["a.jpg"], "")
    assert _names(_find(tmp_path, "in/._a.jpg"), tmp_path / "in") == ["._a.jpg"]  # was asked for


def test_linked_folders_are_searched_once_and_loops_end(tmp_path: Path) -> None:
    _picture(tmp_path / "in/a.jpg")
    _picture(tmp_path / "in/z/own.jpg")
    _picture(tmp_path / "elsewhere/b.jpg")
    (tmp_path / "in/more").symlink_to("../elsewhere")
    (tmp_path / "in/again").symlink_to("../elsewhere")
    (tmp_path / "in/an-alias").symlink_to("z")
    (tmp_path / "elsewhere/up").symlink_to("../in")
    (tmp_path / "in/itself.jpg").symlink_to("itself.jpg")
    found = _find(tmp_path, "in")
    assert _names(found, tmp_path / "in") == ["a.jpg", "again/b.jpg", "itself.jpg", "z/own.jpg"]
    assert found.stems[tmp_path / "in/again/b.jpg"] == Path("again/b")


def test_results_that_a_link_leads_to_are_not_searched(tmp_path: Path) -> None:
    _picture(tmp_path / "in/a.jpg")
    _picture(tmp_path / "out/day/a.png")
    (tmp_path / "in/last").symlink_to("../out/day")
    assert _names(_find(tmp_path, "in"), tmp_path / "in") == ["a.jpg"]


def test_a_broken_link_is_found_and_a_pipe_is_not(tmp_path: Path) -> None:
    _picture(tmp_path / "in/a.jpg")
    (tmp_path / "in/gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "in/pipe.jpg")  # reading it would wait for ever
    assert _names(_find(tmp_path, "in"), tmp_path / "in") == ["a.jpg", "gone.jpg"]


def test_a_folder_that_cannot_be_listed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _picture(tmp_path / "in/a.jpg")
    _picture(tmp_path / "in/closed/b.jpg")
    plain = Path.iterdir

    def refusing(folder: Path) -> object:
        if folder.name == "closed":
            raise PermissionError(13, "Permission denied")
        return plain(folder)

    monkeypatch.setattr(Path, "iterdir", refusing)
    found = _find(tmp_path, "in")
    assert _names(found, tmp_path / "in") == ["a.jpg"]
    assert found.closed == {tmp_path / "in/closed": "Permission denied"}
