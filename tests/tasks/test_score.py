"""A score knows which of two is the better one, and how people write it."""

import math

import pytest

from afdcd.tasks.score import Score

NAN = math.nan


@pytest.mark.parametrize(
    ("value", "other", "higher", "lower"),
    [
        (0.5, 0.4, True, False),
        (0.4, 0.5, False, True),
        (0.5, 0.5, False, False),
        (0.5, None, True, True),
        (0.5, NAN, True, True),
        (NAN, 0.5, False, False),
        (NAN, NAN, False, False),
        (NAN, None, False, False),
    ],
)
def test_the_better_one_by_its_direction(
    value: float, other: float | None, higher: bool, lower: bool
) -> None:
    for wins, higher_is_better in ((higher, True), (lower, False)):
        mine, against = (
            None if v is None else Score(name="x", value=v, higher_is_better=higher_is_better)
            for v in (value, other)
        )
        assert mine is not None
        assert mine.beats(against) is wins


def test_people_read_its_label_and_per_cent() -> None:
    assert str(Score(name="miou", value=0.46494)) == "mIoU 46.49 %"
    assert str(Score(name="miou", value=NAN)) == "mIoU -"
    assert str(Score(name="box_ap", value=0.5)) == "box_ap 50.00 %"


def test_a_group_of_its_parts_goes_without_the_prefix() -> None:
    parts = {"pixel_accuracy": 0.9, "iou/road": 0.8, "iou/traffic/light": 0.1, "iou": 0.3}
    score = Score(name="miou", value=0.4, parts=parts)
    assert score.group("iou") == {"road": 0.8, "traffic/light": 0.1}
    assert score.group("io") == {}
