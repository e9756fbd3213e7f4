"""What cannot be taken leaves the others: names that are no text, links out of the source."""

import os
from pathlib import Path

from afdcd.data.own.choices import Choices
from afdcd.data.own.layout import own_set
from tests.data.own.sets import made, written

KEYS = ("a1", "b1", "c1", "d1")


def _set(folder: Path) -> Path:
    source = folder / "source"
    made(source, *(f"{kind}/{key}.png" for kind in ("images", "masks") for key in KEYS))
    written(folder, "classes.yaml", "- {name: a, value: 0}\n- {name: b, value: 1}\n")
    return source


def test_a_name_that_is_no_text_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    source = _set(tmp_path)
    for kind in ("images", "masks"):
        (source / kind / "d1.png").rename(source / kind / os.fsdecode(b"gr\xfcn.png"))
    made_ = own_set(Choices(source, "own", classes=tmp_path / "classes.yaml"))
    assert sorted(pair.key for pair in made_.layout.pairs) == ["a1", "b1", "c1"]
    assert any("gr\\xfcn.png: its name is no UTF-8" in line for line in made_.layout.refused)


def test_the_mask_that_should_exist_is_no_link_out_of_the_source(tmp_path: Path) -> None:
    source = _set(tmp_path)
    (source / "masks/d1.png").rename(tmp_path / "d1.png")
    (source / "masks/d1.png").symlink_to(tmp_path / "d1.png")
    made_ = own_set(Choices(source, "own", classes=tmp_path / "classes.yaml"))
    assert sorted(pair.key for pair in made_.layout.pairs) == ["a1", "b1", "c1"]
    assert sum("masks/d1.png" in line for line in made_.layout.refused) == 1
