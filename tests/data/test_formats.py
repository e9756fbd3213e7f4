"""Which names are pictures', and which nobody means."""

import pytest

from afdcd.data.formats import is_left_out, is_picture


@pytest.mark.parametrize("name", ["a.PNG", "a.jfif", "a.jpe", "a.tif", "b/a.tiff", "a.b.webp"])
def test_every_suffix_of_a_format_that_is_read_names_a_picture(name: str) -> None:
    assert is_picture(name)


@pytest.mark.parametrize("name", ["a.gif", "a.txt", "png", ".png", "a.png.gz"])
def test_other_names_do_not(name: str) -> None:
    assert not is_picture(name)


@pytest.mark.parametrize(
    "name", ["._a.jpg", ".ipynb_checkpoints", "__MACOSX", "Thumbs.db", "desktop.ini"]
)
def test_what_systems_leave_behind_is_left_out(name: str) -> None:
    assert is_left_out(name)
    assert not is_left_out(f"a{name}")
