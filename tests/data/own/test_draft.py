"""The draft of classes.yaml: what the labels hold, to be named by a person."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.own.choices import Choices
from afdcd.data.own.classes import resolve
from afdcd.data.own.classes_file import read_classes
from afdcd.data.own.draft import write_draft
from afdcd.data.own.found import Said
from afdcd.data.own.layout import find
from tests.own_sets import coco, colour_table, mask_folders


def _draft(source: Path, path: Path) -> tuple[str, Image.Image]:
    tree, found = find(Choices(source, ""))
    write_draft(path, tree.root, found)
    return path.read_text(), Image.open(path.with_suffix(".png"))


def test_values_shares_pictures_and_no_name_where_nobody_says_one(tmp_path: Path) -> None:
    mask_folders(tmp_path / "source")
    text, _ = _draft(tmp_path / "source", tmp_path / "c.yaml")
    counts = np.zeros(3)
    for path in (tmp_path / "source/masks").rglob("*.png"):
        counts += np.bincount(np.asarray(Image.open(path)).ravel(), minlength=3)
    for value, count in enumerate(counts):
        share = f"{100 * count / counts.sum():.2f} %"
        assert f'- {{name: "", value: {value}}}  # {share}, in 12 of 12' in text
    with pytest.raises(UserError, match=r"c\.yaml:6: .*name is empty: write what this is"):
        read_classes(tmp_path / "c.yaml")
    (tmp_path / "done.yaml").write_text(
        text.replace('""', "a", 1).replace('""', "b", 1).replace('""', "c")
    )
    assert len(read_classes(tmp_path / "done.yaml")[0].classes) == 3


@pytest.mark.parametrize("form", [coco, colour_table])
def test_names_that_the_set_says_are_there_and_the_draft_is_valid(form, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    form(tmp_path / "source")
    text, _ = _draft(tmp_path / "source", tmp_path / "c.yaml")
    assert 'name: "no", from: "no"' in text
    assert len(read_classes(tmp_path / "c.yaml")[0].classes) == 3


def test_each_value_is_shown_bright_amid_what_it_is_not(tmp_path: Path) -> None:
    mask_folders(tmp_path / "source")
    _, sheet = _draft(tmp_path / "source", tmp_path / "c.yaml")
    pixels = np.asarray(sheet).astype(int)
    reds, greens = (
        (
            pixels[:, left : left + 192, channel]
            - pixels[:, left : left + 192, 2 - channel // 2 * 2]
        ).max()
        for left, channel in ((212, 0), (414, 1))
    )
    assert reds > 100  # the red squares, in the second tile
    assert greens > 60
    first = pixels[:192, 10:202]
    assert (first[..., 0] - first[..., 2]).max() < 100  # where they are dimmed


def test_an_earlier_draft_is_not_written_over(tmp_path: Path) -> None:
    mask_folders(tmp_path / "source")
    (tmp_path / "c.yaml").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        _draft(tmp_path / "source", tmp_path / "c.yaml")
    assert (tmp_path / "c.yaml").read_text() == "mine"


def test_a_draft_of_named_classes_is_taken_as_it_is(tmp_path: Path) -> None:
    """Also with classes that have no pixels, two values of one name, and a value that is ignored."""
    source = tmp_path / "source"
    mask_folders(source)
    tree, found = find(Choices(source, ""))
    names = {0: "ground", 1: "tree", 2: "tree", 7: 'a "b"\n\x7f\u2028é'}
    said = Said(names, source="t.json", merges=True)
    write_draft(tmp_path / "c.yaml", tree.root, replace(found, said=said))
    text = (tmp_path / "c.yaml").read_text()
    assert text.count("tree") == 2  # name and from of one entry
    assert "# 0.00 %, in 0 of 12" in text
    assert resolve(said, read_classes(tmp_path / "c.yaml")) == resolve(said, None)


def test_what_the_set_ignores_is_ignored_in_its_draft(tmp_path: Path) -> None:
    mask_folders(tmp_path / "source")
    tree, found = find(Choices(tmp_path / "source", ""))
    said = Said({0: "ground", 1: "no"}, ignored=frozenset({2}), source="t.json")
    write_draft(tmp_path / "c.yaml", tree.root, replace(found, said=said))
    assert "ignore: [2]" in (tmp_path / "c.yaml").read_text()
    assert resolve(said, read_classes(tmp_path / "c.yaml")) == resolve(said, None)
