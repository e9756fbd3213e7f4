"""What is drawn of a study: the model's belief along every parameter, beside what was run."""

import math
from pathlib import Path

import numpy as np
import pytest

from afdcd.commands import study as command
from afdcd.config import UserError
from afdcd.search.kept import Kept
from afdcd.search.slices import Slice, slices
from afdcd.search.slices_picture import picture
from afdcd.search.study import Study
from tests.search.policy.test_samplers import BOTH, SPACE
from tests.search.studies import LENGTH, completed, opened, report

WEIGHT = "distiller.kd.weight"


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """The higher the weight, the better."""
    study = opened(tmp_path_factory.mktemp("study"), SPACE, BOTH, trials=12, rungs=())
    while (job := study.next()) is not None:
        value = score_of(getattr(job.config.distiller, "weight", 0.2))
        study.report(job, report(LENGTH, value))
        study.end(job, completed(value))
    return study


def score_of(weight: float) -> float:
    return 0.5 + 0.02 * math.log(weight)


def found(study: Study) -> dict[str, Slice]:
    return {one.path: one for one in slices(SPACE, Kept(study.study, "folder"))}


def test_the_belief_follows_what_was_seen(searched: Study) -> None:
    weight = found(searched)[WEIGHT]
    assert weight.kind == "log"
    assert (weight.values[0], weight.values[-1]) == pytest.approx((0.1, 10.0))
    assert weight.mean[-1] > weight.mean[0] + 0.02
    assert weight.chosen in [value for value, _ in weight.seen]
    assert all(score == pytest.approx(score_of(value)) for value, score in weight.seen)
    near = int(np.argmin(np.abs(np.array(weight.values) - weight.chosen)))
    assert weight.mean[near] == pytest.approx(score_of(weight.chosen), abs=0.01)
    assert weight.deviation[near] < weight.deviation.max()


def test_published_values_are_those_of_the_method(searched: Study) -> None:
    weight = found(searched)[WEIGHT]
    assert weight.published == pytest.approx([BOTH[1][WEIGHT]])


def test_without_a_full_run_nothing_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no full run in this search space"):
        found(opened(tmp_path, SPACE, BOTH, trials=3))


def test_the_picture_has_a_panel_for_every_parameter(searched: Study) -> None:
    pytest.importorskip("matplotlib")
    some = list(found(searched).values())
    belief = np.ones(2), np.ones(2)
    options = Slice("training.mask", ["a", "b"], *belief, [("a", 0.5)], "a", ["b"], "choice")
    assert picture([*some, options], "a study", "mIoU").startswith(b"\x89PNG")


def test_a_picture_without_the_search_space_is_refused() -> None:
    with pytest.raises(UserError, match="--space and --out go together"):
        command.execute_explain("s", None, "x.png")
