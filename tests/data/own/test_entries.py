"""Keys of pictures, and what is told of entries that are not taken."""

import pytest

from afdcd.data.own.entries import Refusals, keys_of


@pytest.mark.parametrize(
    ("paths", "keys"),
    [
        (["images/train/a.jpg", "images/val/b.jpg"], ["a", "b"]),
        (["train/images/a.jpg", "valid/images/b.PNG"], ["a", "b"]),
        (["images/train/a.jpg", "images/val/a.jpg"], ["train/a", "val/a"]),
        (["images/north/0.jpg", "images/south/0.jpg"], ["north/0", "south/0"]),
        (["x/v1.2.jpg", "x/v1.3.jpg"], ["v1.2", "v1.3"]),
        (["deep/down/a.jpg"], ["a"]),
        (["a.jpg", "sub/b.jpg"], ["a", "sub/b"]),
        (["u\u0308.jpg", "v.jpg"], ["\u00fc", "v"]),
        ([], []),
    ],
)
def test_keys_are_short_and_tell_pictures_apart(paths: list[str], keys: list[str]) -> None:
    assert list(keys_of(paths).values()) == keys


def test_one_line_tells_all_entries_of_one_reason() -> None:
    refusals = Refusals()
    refusals.add("a.json", "image 1", "gone: fetch it")
    refusals.add("b.json", "", "no JSON: export it again")
    refusals.add("a.json", "image 2", "gone: fetch it")
    assert refusals.lines == (
        "a.json: 2 entries, e.g. image 1: gone: fetch it",
        "b.json: no JSON: export it again",
    )


def test_what_files_say_is_told_in_one_line() -> None:
    refusals = Refusals()
    refusals.add("a.json", "image 1 (a\nb\x1b[31m\ud800.jpg)", "x" * 999)
    (line,) = refusals.lines
    assert line.startswith("a.json: image 1 (a\\nb\\x1b[31m\\ud800.jpg): xxx")
    assert len(line) < 400
