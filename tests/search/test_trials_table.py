"""The table at a study's end."""

import math

from afdcd.search.rows import RunKey
from afdcd.search.trials_table import Row, trials_table
from tests.examples import score


def test_table_has_completed_runs_first_and_the_best_of_them_on_top() -> None:
    rows = [
        Row(RunKey(5), score(math.nan), "completed", 40, {}),
        Row(RunKey(0), score(0.9), "paused", 10, {"lr": 0.123456}),
        Row(RunKey(1), score(0.4), "completed", 40, {}),
        Row(RunKey(2), score(0.5), "completed", 40, {"lr": 0.1, "method": "kd"}),
        Row(RunKey(3), score(0.95), "infeasible", 10, {"lr": 9.0}, "loss term kd is not finite"),
        Row(RunKey(4), None, "running", 0, {}),
        Row(RunKey(6), None, "lost", 0, {}, "no memory", 1.23456),
    ]
    assert trials_table(rows).splitlines() == [
        "trial  mIoU     outcome     iterations  hours  settings",
        "2      50.00 %  completed   40          0      lr=0.1  method=kd",
        "1      40.00 %  completed   40          0      -",
        "5      -        completed   40          0      -",
        "0      90.00 %  paused      10          0      lr=0.123",
        "4      -        running     0           0      -",
        "3      95.00 %  infeasible  10          0      lr=9  loss term kd is not finite",
        "6      -        lost        0           1.23   no memory",
    ]


def test_table_knows_scores_of_which_less_is_better() -> None:
    error = score(0.5).updated(name="error", higher_is_better=False)
    rows = [
        Row(RunKey(n), error.updated(value=v), "completed", 4, {})
        for n, v in enumerate((0.5, 0.1, 0.3))
    ]
    table = [line.split() for line in trials_table(rows).splitlines()]
    assert [row[0] for row in table] == ["trial", "1", "2", "0"]
    assert table[0][1] == "error"
