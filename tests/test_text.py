import pytest

from afdcd.text import first_line, table


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
