"""From a folder to what is built: every question that only a person can answer is asked, in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from afdcd.config import UserError
from afdcd.data.own.choices import Choices, words
from afdcd.data.own.layout import OwnSet, own_set
from afdcd.data.own.tree import Tree
from afdcd.data.prepare.build import BuildOptions, build
from afdcd.data.shards.described import dataset_at, described
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.shards.rows import open_split
from tests.own_sets import draw_pictures, mask_folders, prepare_own


def _masks(source: Path, *values: int) -> Path:
    """Four pictures whose masks hold `values` in stripes."""
    for key in ("a1", "b1", "c1", "d1"):
        draw_pictures(source / "images", [key], (32, 32))
        (source / "masks").mkdir(exist_ok=True)
        kind = np.uint8 if max(values) < 256 else np.uint16
        Image.fromarray(np.resize(np.array(values, kind), (32, 32))).save(
            source / f"masks/{key}.png"
        )
    return source


def _classes(folder: Path, text: str) -> Path:
    path = folder / "classes.yaml"
    path.write_text(text)
    return path


def _set(source: Path, text: str = "", **choices: object) -> OwnSet:
    classes = _classes(source.parent, text) if text else None
    return own_set(Choices(source=source, name="own", classes=classes, **choices))  # type: ignore[arg-type]


TWO = "- {name: a, value: 0}\n- {name: b, value: 1}\n"


@pytest.mark.parametrize(
    ("values", "text", "told"),
    [
        (
            (0, 1),
            "",
            r"hold 0 \(50\.00 %\), 1 \(50\.00 %\); nothing says which .*--draft classes\.yaml",
        ),
        ((0, 1, 7), TWO, r"hold .*; 7: no class; add what is meant to classes, or to ignore"),
        ((0, 1000, 1001), TWO, r"; 1000, 1001: no class; class \* 1000 \+ instance\?"),
        ((0, 255), "", r"a binary mask\? List 255 as a class"),
        ((0, 255), TWO, r"a binary mask\? list 255 as a class"),
        (
            (0, 1, 2),
            "- {name: a, value: 1}\n- {name: b, value: 2}\n",
            r"0 has no name: background or",
        ),
        (
            (0, 1),
            "- {name: a, colour: [0, 0, 0]}\n- {name: b, colour: [9, 9, 9]}\n",
            r"which are numbers",
        ),
    ],
)
def test_meaning_is_never_guessed(
    values: tuple[int, ...], text: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=told):
        _set(_masks(tmp_path / "x", *values), text)


def test_the_person_says_it(tmp_path: Path) -> None:
    source = _masks(tmp_path / "x", 0, 255)
    made = _set(source, "- {name: a, value: 0}\n- {name: b, value: 255}\n")
    assert made.own.ignored == ()
    made = _set(
        _masks(tmp_path / "y", 0, 1, 2),
        "- {name: a, value: 1}\n- {name: b, value: 2}\n",
        ignore=(0,),
    )
    assert made.own.ignored == ("0", "255")


def test_gray_masks_stored_as_rgb_are_said(tmp_path: Path) -> None:
    source = _masks(tmp_path / "x", 0, 1)
    for path in (source / "masks").iterdir():
        Image.open(path).convert("RGB").save(path)
    assert any("RGB files of gray pixels" in line for line in _set(source, TWO).layout.warnings)


def test_a_folder_of_no_known_form(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("nothing")
    with pytest.raises(UserError, match=r"no form of data set that is known: looked for images/"):
        _set(tmp_path)


@pytest.mark.parametrize("name", ["set.zip", "set.tar.gz"])
def test_an_archive_names_the_command_that_unpacks_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UserError, match=r"an archive; unpack it first \(`(unzip|tar -xzf) "):
        _set(tmp_path / name)


def test_links_out_of_the_source_are_not_followed(tmp_path: Path) -> None:
    source = _masks(tmp_path / "x", 0, 1)
    draw_pictures(tmp_path, ["secret"], (32, 32))
    (source / "images" / "e1.png").symlink_to(tmp_path / "secret.png")
    made = _set(source, TWO)
    assert "e1" not in [pair.key for pair in made.layout.pairs]
    assert any("images/e1.png: a link out of the source" in line for line in made.layout.refused)


def test_the_manifest_says_all_that_a_catalog_would(tmp_path: Path) -> None:
    root = prepare_own(tmp_path, "drone", unlabelled=3)
    manifest, known = read_manifest(root), dataset_at(root, "drone")
    assert manifest.own
    assert manifest.own.split == "by folder, whole folders together"
    assert manifest.label_table == {"0": 0, "1": 1, "2": 2, "255": 255}
    assert (known.classes, known.palette) == (("ground", "no", "tree"), manifest.own.palette)
    assert known.train_to_raw == {0: 0, 1: 1, 2: 2}
    assert known.reports("dev")
    assert not known.reports("official")
    rows = {role: open_split(root, "drone", "dev", role) for role in ("train", "val", "test")}
    keys = {
        role: {of.key(i).partition("/")[0] for i in range(len(of))} for role, of in rows.items()
    }
    assert keys["train"] - {"unlabelled"}
    assert not keys["val"] & keys["train"]
    assert not keys["test"] & keys["train"]
    assert len(rows["train"].unlabelled) == 3
    assert {rows["train"].key(i) for i in rows["train"].unlabelled} == {
        f"unlabelled/extra{number}" for number in (100, 101, 102)
    }


def test_twice_prepared_is_the_same_bytes_whatever_the_order_of_listing(tmp_path: Path) -> None:
    digests = []
    for place in ("a", "b"):
        source = tmp_path / place / "source"
        choices = mask_folders(source)
        made = own_set(Choices(source, "own", classes=Path(choices[1])))
        manifest, _ = build(
            str(tmp_path / place / "out"), made.dataset, made.layout, BuildOptions(), own=made.own
        )
        digests.append(manifest.digest)
    assert digests[0] == digests[1]


def test_other_choices_are_not_taken_for_the_same_set(tmp_path: Path) -> None:
    source, out = _masks(tmp_path / "x", 0, 1), str(tmp_path / "out")
    made = _set(source, TWO)
    build(out, made.dataset, made.layout, BuildOptions(), own=made.own)
    other = _set(source, "- {name: b, value: 1}\n- {name: a, value: 0}\n")
    with pytest.raises(UserError, match="holds a prepared data set"):
        build(out, other.dataset, other.layout, BuildOptions(), own=other.own)


def _coloured(source: Path, spots: dict[str, list[tuple[int, int, int]]]) -> Path:
    """Four masks of 200x200 pixels in two colours; each of `spots` is a square of 10x10 pixels."""
    for key in ("a1", "b1", "c1", "d1"):
        draw_pictures(source / "images", [key], (200, 200))
        mask = np.resize(np.array([[10, 20, 30], [40, 50, 60]], np.uint8), (200, 200, 3))
        for at, colour in enumerate(spots.get(key, ())):
            mask[at * 10 : at * 10 + 10, :10] = colour
        (source / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(source / f"masks/{key}.png")
    return source


COLOURS = "- {name: a, colour: [10, 20, 30]}\n- {name: b, colour: [40, 50, 60]}\n"


def test_a_small_class_in_colours_may_not_be_forgotten(tmp_path: Path) -> None:
    """A quarter of a percent: below the share of strays that a single mask may have."""
    source = _coloured(tmp_path / "x", {key: [(9, 8, 7)] for key in ("a1", "c1")})
    with pytest.raises(UserError, match=r"no class: 9 8 7 \(0\.12 %\); .*--ignore 9,8,7\)"):
        _set(source, COLOURS)
    assert _set(source, COLOURS, ignore=((9, 8, 7),))
    assert _set(source, f"{COLOURS}- {{name: c, colour: [9, 8, 7]}}\n")


def test_strays_of_masks_in_colours_are_no_classes(tmp_path: Path) -> None:
    spots = {"a1": [(9, 8, 7)], "b1": [(9, 8, 6)]}  # an area, but of one mask alone
    assert _set(_coloured(tmp_path / "x", spots), COLOURS)


def test_words_of_the_command_line() -> None:
    assert words(["255", "128,64,128", "car"]) == (255, (128, 64, 128), "car")
    assert words(["²", "1,2,²"]) == ("²", "1,2,²")  # digits that are no numbers


def test_numbers_of_more_than_eight_bits_are_no_values_of_a_prediction(tmp_path: Path) -> None:
    manifest = read_manifest(prepare_own(tmp_path, "drone"))
    wide = manifest.updated(label_table={"1000": 0, "2000": 1, "7": 2})
    assert described(wide).train_to_raw == {0: 0, 1: 1, 2: 2}


def test_numbers_that_count_things_in_each_mask_are_guessed_to_be_instances(tmp_path: Path) -> None:
    source = _masks(tmp_path / "x", 0, 1)
    for key, things in (("a1", 3), ("b1", 5)):
        numbers = np.resize(np.arange(things + 1, dtype=np.uint8), (32, 32))
        Image.fromarray(numbers).save(source / f"masks/{key}.png")
    with pytest.raises(UserError, match=r"instance ids, 1 to n in each mask\?.*--draft"):
        _set(source)


def test_many_classes_that_no_label_holds_are_told_in_one_line(tmp_path: Path) -> None:
    text = "".join(f"- {{name: c{i}, value: {i}}}\n" for i in range(9))
    made = _set(_masks(tmp_path / "x", 0, 1), text)
    _, report = build(str(tmp_path / "o"), made.dataset, made.layout, BuildOptions(), own=made.own)
    told = [line for line in report.warnings if "no label" in line]
    assert told == ["7 classes are in no label: merge or leave out: c2, c3, c4, c5, c6, c7, c8"]


def test_a_linked_folder_inside_the_source_is_followed_and_loops_end(tmp_path: Path) -> None:
    source = _masks(tmp_path / "x", 0, 1)
    (source / "masks").rename(source / "store")
    (source / "masks").symlink_to("store")
    (source / "images" / "again").symlink_to(source)
    (tmp_path / "elsewhere").mkdir()
    (source / "more").symlink_to(tmp_path / "elsewhere")
    tree = Tree.of(source)
    assert sorted(tree.below("masks")) == [f"masks/{key}.png" for key in ("a1", "b1", "c1", "d1")]
    assert not [file for file in tree.files if "again" in file]
    assert tree.leaving == ("more",)
