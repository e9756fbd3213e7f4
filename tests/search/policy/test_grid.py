"""A space as a list, and one that is none."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.search.check_study import check_study
from afdcd.search.load import read_space
from afdcd.search.policy.grid import Grid
from afdcd.search.policy.points import Points
from afdcd.tune import main
from tests.search.policy.spaces import space

FILE = """
data: {dataset: synthetic, root: x, protocol: dev, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 8, validate_every: 4, batch: 4, lr: LR}
study: {STUDY}
"""


def test_every_point_is_listed_once_and_options_have_their_own() -> None:
    points = Points(space("nested"))
    grid = Grid(points)
    listed = [points.values(row) for row in grid.rows]
    assert listed == [{"a": "x", "a.x.n": n} for n in (2, 5, 8)] + [{"a": "y"}]


def test_a_range_without_steps_is_no_list() -> None:
    assert Grid(Points(space("shared"))).size is None
    assert Grid(Points(space("choices"))).size == 4


@pytest.mark.parametrize(
    ("lr", "study", "words"),
    [
        ("{log: [0.01, 0.1]}", "sampler: grid", r"s.yaml:4: training.lr: log .* no steps.*choice"),
        ("{choice: [0.1, 0.2]}", "sampler: no", r"s.yaml:5: study.sampler: 'no' is not one of"),
        ("0.1", "trials: 3", r"s.yaml:5: study.trials: there is nothing to search"),
        (
            "{choice: [0.1, 0.2]}",
            "trials: 1, enqueue: [{training: {lr: 0.1}}, {training: {lr: 0.2}}]",
            r"s.yaml:5: study.trials: 1 cannot pay for the 2 settings in study.enqueue",
        ),
    ],
)
def test_what_no_search_could_do_is_refused_in_one_line(
    tmp_path: Path, lr: str, study: str, words: str
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(FILE.replace("LR", lr).replace("STUDY", study))
    with pytest.raises(UserError, match=words) as refused:
        main(["--check", str(file)])
    assert "\n" not in str(refused.value)


def test_a_study_that_can_be_done_is_not_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    text = FILE.replace("LR", "{choice: [0.1, 0.2]}")
    seeds = "trials: 1, enqueue: [{training: {lr: 0.1}}, {training: {lr: 0.1, seed: 3}}]"
    for study in (seeds, "sampler: grid, trials: 9"):
        file.write_text(text.replace("STUDY", study))
        check_study(read_space(str(file), []))
