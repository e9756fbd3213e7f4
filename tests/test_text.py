import os
from pathlib import Path

import pytest

from afdcd.text import first_line, is_utf8, printable, table


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such key\nTraceback ..."), "no such key"),
        (ValueError("\n  \n  indented cause \nmore"), "indented cause"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("   \n"), "ValueError"),
    ],
)
def test_first_line_of_an_error_says_something(error: Exception, line: str) -> None:
    assert first_line(error) == line


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    text = table(("a", "bb", "c"), [("aaa", "b", "ccccc")], rules=())
    assert text == "a    bb  c\naaa  b   ccccc"


def test_numbers_are_aligned_at_the_right_and_rules_span_the_table() -> None:
    rows = [("sky", "9.5"), ("pedestrian", "10.25"), ("mean", "-")]
    assert table(("class", "IoU"), rows, numbers=1, rules=(0, 2)).splitlines() == [
        "class         IoU",
        "-----------------",
        "sky           9.5",
        "pedestrian  10.25",
        "-----------------",
        "mean            -",
    ]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        table(("a", "b"), [("c",)])


@pytest.mark.parametrize(
    ("name", "shown", "utf8"),
    [
        (b"stra\xdfe.jpg", "stra\\xdfe.jpg", False),
        ("straße.jpg".encode(), "straße.jpg", True),
        (b"two\nlines\x1b[31m.jpg", "two\\nlines\\x1b[31m.jpg", True),
        (b"with space.jpg", "with space.jpg", True),
    ],
)
def test_a_path_is_printed_in_one_line_of_utf_8(name: bytes, shown: str, utf8: bool) -> None:
    path = Path(os.fsdecode(name))
    assert printable(path) == printable(str(path)) == shown
    assert is_utf8(str(path)) == utf8
    printable(path).encode()


def test_a_name_from_a_file_does_nothing_to_a_terminal_and_can_be_kept_short() -> None:
    assert printable("a\x1b[31m\n\ud800b") == "a\\x1b[31m\\n\\ud800b"
    assert printable("x" * 80, 80) == "x" * 80
    assert printable("x" * 81, 80) == "x" * 77 + "..."
    assert printable("\n" * 80, 80) == "\\n" * 38 + "\\..."
    assert printable(("layer", 7), 80) == "('layer', 7)"
