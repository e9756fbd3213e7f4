"""classes.yaml: what a person may say, and the line that tells what is wrong with it."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.own.classes_file import ClassesFile, read_classes


def _read(tmp_path: Path, text: str) -> ClassesFile:
    path = tmp_path / "classes.yaml"
    path.write_text(text, encoding="utf-8")
    return read_classes(path)[0]


def test_a_bare_list_and_a_mapping_say_the_same(tmp_path: Path) -> None:
    entries = '- {name: "road", value: 0}\n- {name: car, values: [1, 4]}\n'
    bare = _read(tmp_path, f"# of the drone\n{entries}")
    full = _read(tmp_path, "classes:\n" + "".join(f"  {line}\n" for line in entries.splitlines()))
    assert bare == full
    assert [entry.numbers for entry in bare.classes] == [(0,), (1, 4)]


@pytest.mark.parametrize(
    "start", ["---\n", "# mine\n\n---  # the classes\n", "\ufeff---\n", "\ufeff"]
)
@pytest.mark.parametrize("form", ["", "classes:\n"])
def test_a_document_may_begin_as_yaml_documents_do(start: str, form: str, tmp_path: Path) -> None:
    text = f"{start}{form}- {{name: a, value: 0}}\n- {{name: b, value: 1}}\n"
    assert [entry.name for entry in _read(tmp_path, text).classes] == ["a", "b"]
    line = text[: text.index("- {name: b")].count("\n") + 1
    with pytest.raises(UserError, match=rf"classes\.yaml:{line}: "):
        _read(tmp_path, text.replace("value: 1", "value: 0"))


def test_names_are_words_even_those_that_yaml_once_took_for_booleans(tmp_path: Path) -> None:
    file = _read(tmp_path, "- {name: no, value: 0}\n- {name: on, value: 1}\n")
    assert [entry.name for entry in file.classes] == ["no", "on"]


def test_a_colour_names_a_class_in_masks_and_beside_a_value_it_is_for_pictures(
    tmp_path: Path,
) -> None:
    file = _read(
        tmp_path,
        "- {name: a, colour: [1, 2, 3]}\n- {name: b, from: car, colour: [9, 9, 9]}\n"
        "- {name: c, value: 7, colour: [8, 8, 8]}\n",
    )
    assert [entry.raws for entry in file.classes] == [((1, 2, 3),), (), (7,)]
    assert [entry.shown for entry in file.classes] == [(1, 2, 3), (9, 9, 9), (8, 8, 8)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "- {name: a, value: 0}\n- {name: A, value: 1}\n",
            r"classes.yaml:2: .*'A' and 'a' are one name",
        ),
        (
            "- {name: car, value: 0}\n- {name: car, value: 1}\n",
            r"classes.yaml:2: .*'car' and 'car' are one name twice",
        ),
        (
            "- {name: a, value: 0}\n- {name: b, value: 0}\n",
            r"classes.yaml:2: .*0 is both 'a' and 'b'",
        ),
        ("- {name: 'a ', value: 0}\n- {name: b, value: 1}\n", r"classes.yaml:1: .*blank at an end"),
        ('- {name: "", value: 0}\n- {name: b, value: 1}\n', r"classes.yaml:1: .*is empty"),
        ("- {name: true, value: 0}\n- {name: b, value: 1}\n", r"in quotes it is a word: 'true'"),
        ("- {name: a}\n- {name: b, value: 1}\n", r"classes.yaml:1: .*needs value, colour or from"),
        ("classes: []\n", r"classes.yaml:1: classes: 0 classes; 1 to 255 fit: name them"),
        (
            "".join(f"- {{name: c{i}, value: {i}}}\n" for i in range(256)),
            r"256 classes; 1 to 255 fit: merge some",
        ),
        (
            "classes:\n- {name: a, value: 0}\n- {name: b, value: 1}\nignore: [1]\n",
            r"classes.yaml:4: ignore: 1 is ignored and the class 'b'",
        ),
        (
            "- {name: a, value: 0, colour: [0, 0, 0]}\n- {name: b, value: 1, colour: [0, 0, 0]}\n",
            r"classes.yaml:2: .*colour \[0, 0, 0\] is of 'a' and 'b'; give each its own",
        ),
        ("- {name: a, valeu: 0}\n- {name: b, value: 1}\n", r"unknown key; did you mean 'value'"),
        ("- {name: a, value: -1}\n- {name: b, value: 1}\n", r"classes.yaml:1: classes.0.value"),
    ],
)
def test_tells_the_line_and_the_remedy(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        _read(tmp_path, text)
