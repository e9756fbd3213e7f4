"""From what the set and the person say to train ids."""

from collections.abc import Callable
from pathlib import Path

import pytest

from afdcd.config import Source, UserError
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.own.classes import resolve
from afdcd.data.own.classes_file import ClassesFile, read_classes
from afdcd.data.own.found import UNCOVERED, Raw, Said

Read = Callable[[str], tuple[ClassesFile, Source]]

NOBODY = Said()
COCO = Said({UNCOVERED: "background", 3: "car", 7: "tree"}, source="a.json")
YOLO = Said({0: "car", 1: "tree", UNCOVERED: "background"}, source="data.yaml")
TABLE = Said({(1, 2, 3): "road", (4, 5, 6): "car"}, ignored=frozenset({(0, 0, 0)}), source="t.csv")


@pytest.fixture
def said(tmp_path: Path) -> Read:
    def read(text: str) -> tuple[ClassesFile, Source]:
        path = tmp_path / "classes.yaml"
        path.write_text(text, encoding="utf-8")
        return read_classes(path)

    return read


def test_the_sets_own_table_is_taken_in_its_order() -> None:
    found = resolve(TABLE, None)
    assert found.names == ("road", "car")
    assert found.palette == ((1, 2, 3), (4, 5, 6))
    assert found.table == {(1, 2, 3): 0, (4, 5, 6): 1, (0, 0, 0): IGNORE}


def test_equal_names_are_one_class_where_that_is_meant(said: Read) -> None:
    table = {0: "a", 1: "b", 4: "b"}
    found = resolve(Said(table, merges=True), None)
    assert (found.names, found.table) == (("a", "b"), {0: 0, 1: 1, 4: 1, 255: IGNORE})
    with pytest.raises(UserError, match=r"t\.json: 1 and 4 are both 'b': rename one, or merge"):
        resolve(Said(table, source="t.json"), None)
    merged = "- {name: a, from: a}\n- {name: b, from: b}\n"
    assert resolve(Said(table, source="t.json"), said(merged)).names == ("a", "b")


def test_nobody_says_the_classes() -> None:
    with pytest.raises(UserError, match=r"--draft classes\.yaml"):
        resolve(NOBODY, None)


def test_255_is_ignored_unless_it_is_a_class(said: Read) -> None:
    file = said("- {name: a, value: 0}\n- {name: b, value: 1}\n")
    assert resolve(NOBODY, file).table[255] == IGNORE
    binary = said("- {name: a, value: 0}\n- {name: b, value: 255}\n")
    assert resolve(NOBODY, binary).table == {0: 0, 255: 1}


def test_what_no_annotation_covers_is_background_a_class_or_ignored() -> None:
    assert resolve(COCO, None).names == ("background", "car", "tree")
    assert resolve(YOLO, None).names == ("car", "tree", "background")
    assert resolve(COCO, None, background="ground").names == ("ground", "car", "tree")
    ignored = resolve(COCO, None, background="ignore")
    assert (ignored.names, ignored.table[UNCOVERED]) == (("car", "tree"), IGNORE)
    assert resolve(COCO, None, background="tree").table == {UNCOVERED: 0, 3: 1, 7: 0}
    with pytest.raises(UserError, match="a class for every pixel"):
        resolve(TABLE, None, background="x")


def test_a_person_renames_merges_reorders_and_drops(said: Read) -> None:
    file = said(
        "classes:\n- {name: plant, from: tree}\n- {name: other, from: background}\nignore: [car]\n"
    )
    found = resolve(COCO, file)
    assert found.names == ("plant", "other")
    assert found.table == {7: 0, UNCOVERED: 1, 3: IGNORE}
    merged = said("- {name: thing, from: [car, tree]}\n")  # background keeps its place
    assert resolve(COCO, merged).names == ("background", "thing")


def test_a_class_of_the_set_may_not_be_forgotten(said: Read) -> None:
    file = said("- {name: a, from: car}\n- {name: b, from: background}\n")
    with pytest.raises(UserError, match=r"tree of a.json is in neither list.*ignore: rest"):
        resolve(COCO, file)
    rest = said("classes:\n- {name: a, from: car}\n- {name: b, from: background}\nignore: rest\n")
    assert resolve(COCO, rest).table == {3: 0, UNCOVERED: 1, 7: IGNORE}


def test_names_what_is_not_known(said: Read) -> None:
    file = said("- {name: a, from: cat}\n- {name: b, from: car}\n")
    with pytest.raises(
        UserError, match=r"classes.yaml:1: .*'cat' is no class of a.json; known: back"
    ):
        resolve(COCO, file)
    with pytest.raises(UserError, match="ignore 'cat': no class of that name"):
        resolve(COCO, None, ignore=["cat"])
    numbers = said("classes:\n- {name: a, value: 3}\n- {name: b, value: 8}\nignore: rest\n")
    with pytest.raises(UserError, match=r"8 is no class of a\.json; known: 3 car, 7 tree"):
        resolve(COCO, numbers)


def test_the_command_line_ignores_besides(said: Read) -> None:
    file = said("- {name: a, value: 1}\n- {name: b, value: 2}\n")
    assert resolve(NOBODY, file, ignore=[0, 9]).table == {
        1: 0,
        2: 1,
        0: IGNORE,
        9: IGNORE,
        255: IGNORE,
    }
    assert resolve(YOLO, None, ignore=["tree"]).names == ("car", "background")


@pytest.mark.parametrize("names", [("car", "Car"), ("car", "tree "), ("car", "")])
def test_names_that_differ_in_nothing_a_person_sees(names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="rename or merge them"):
        resolve(Said(dict(enumerate(names)), source="data.yaml"), None)


def test_too_many_classes() -> None:
    with pytest.raises(UserError, match=r"256 classes .*2 to 255"):
        resolve(Said({i: f"c{i}" for i in range(256)}), None)


def test_pictures_have_distinct_colours() -> None:
    found = resolve(
        Said({i: f"c{i}" for i in range(255)} | {300: "background"}), None, ignore=["c3"]
    )
    assert len(set(found.palette)) == 255
    assert found.palette[-1] == (0, 0, 0)


ROADS = Said({0: "road", 1: "car", 2: "tree"}, source="t.json")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "classes:\n- {name: A, value: 1}\n- {name: B, from: car}\nignore: rest\n",
            r"classes\.yaml:3: .*1 \(car\) is both 'A' and 'B'; keep one",
        ),
        (
            "classes:\n- {name: A, value: 1}\n- {name: B, values: [0, 2]}\nignore: [car]\n",
            r"classes\.yaml:4: ignore: 1 \(car\) is ignored and the class 'A'; keep one",
        ),
        (
            "classes:\n- {name: A, from: car}\n- {name: B, from: [road, tree]}\nignore: [1]\n",
            r"classes\.yaml:4: ignore: 1 \(car\) is ignored and the class 'A'; keep one",
        ),
    ],
)
def test_one_value_named_by_two_words_is_seen(said: Read, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        resolve(ROADS, said(text))


@pytest.mark.parametrize("background", ["tree", "ignore"])
def test_background_takes_no_listed_class_away(said: Read, background: str) -> None:
    file = said(
        "- {name: other, from: background}\n- {name: a, from: car}\n- {name: b, from: tree}\n"
    )
    with pytest.raises(UserError, match=rf"is the class 'other' and, .*'{background}'; keep one"):
        resolve(COCO, file, background=background)
    assert resolve(COCO, file, background="other").names == ("other", "a", "b")


def test_a_listed_class_that_the_set_ignores_is_trained(said: Read) -> None:
    voc = Said({0: "road", 1: "car"}, ignored=frozenset({255}), source="t.json")
    listed = "classes:\n- {name: void, value: 255}\n- {name: road, value: 0}\n"
    found = resolve(voc, said(f"{listed}ignore: rest\n"))
    assert (found.names, found.table) == (("void", "road"), {255: 0, 0: 1, 1: IGNORE})
    assert resolve(voc, said(f"{listed}ignore: [car]\n")).table == found.table


LABELME = Said(
    {UNCOVERED: "background", "3": "3", "7": "7", "x": "x"},
    ignored=frozenset({"__ignore__"}),
    source="the labels that occur",
)


def test_a_class_that_is_called_a_number_is_ignored_by_it() -> None:
    found = resolve(LABELME, None, ignore=[3])
    assert (found.names, found.table["3"]) == (("background", "7", "x"), IGNORE)
    assert 3 not in found.table
    assert resolve(LABELME, None, ignore=["__ignore__"]).names == ("background", "3", "7", "x")
    called = Said({0: "3", 1: "b", 2: "c"})
    assert resolve(called, None, ignore=[3]).table[0] == IGNORE


@pytest.mark.parametrize(
    ("own", "ignored", "told"),
    [
        (LABELME, 4, r"ignore 4: no class of the labels that occur; known: 3, 7, x"),
        (LABELME, 255, r"ignore 255: no class of"),
        (COCO, 4, r"ignore 4: no class of a\.json; known: 3 \(car\), 7 \(tree\)"),
        (COCO, (0, 0, 0), r"ignore 0 0 0: the labels hold numbers"),
        (TABLE, 0, r"ignore 0: the labels hold colours; known: 0 0 0, 1 2 3, 4 5 6"),
        (TABLE, 255, r"ignore 255: the labels hold colours"),
        (ROADS, (1, 2, 3), r"ignore 1 2 3: the labels hold numbers; known: 0, 1, 2"),
    ],
)
def test_what_is_not_there_cannot_be_ignored(own: Said, ignored: Raw, told: str) -> None:
    with pytest.raises(UserError, match=told):
        resolve(own, None, ignore=[ignored])


def test_masks_may_hold_more_than_the_table_names() -> None:
    assert resolve(COCO, None, ignore=[255]).names == ("background", "car", "tree")
    assert resolve(ROADS, None, ignore=[27]).table[27] == IGNORE  # as `prepare` itself advises
    assert resolve(TABLE, None, ignore=[(9, 9, 9)]).table[9, 9, 9] == IGNORE


def test_no_colour_is_of_two_classes(said: Read) -> None:
    black = dict.fromkeys(("a", "b", "background"), (0, 0, 0))
    own = Said({0: "a", 1: "b", 2: "background"}, colours=black)
    assert len(set(resolve(own, None).palette)) == 3
    file = said("- {name: background, value: 0}\n- {name: b, value: 1, colour: [0, 0, 0]}\n")
    assert resolve(NOBODY, file).palette == ((128, 0, 0), (0, 0, 0))
    file = said("- {name: a, from: car, colour: [1, 2, 3]}\n- {name: b, from: road}\n")
    assert resolve(TABLE, file).palette == ((1, 2, 3), (128, 0, 0))
