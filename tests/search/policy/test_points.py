"""Settings as rows of numbers, for any search space."""

import numpy as np
import pytest

from afdcd.search.policy.points import Points
from tests.search.policy.spaces import SPACES, space

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", SPACES)
def test_what_is_drawn_lies_in_the_space_and_comes_back(name: str) -> None:
    points = Points(space(name))
    for branch in points.branches:
        for row in points.draw(RNG, 20, branch):
            back = points.row(points.values(row))
            assert back is not None
            np.testing.assert_allclose(back, row, atol=1e-12)
            assert (points.heads(row[None]) == points.heads(branch[None])).all()


@pytest.mark.parametrize("name", SPACES)
def test_what_lies_near_is_a_setting_too_and_lies_near(name: str) -> None:
    points = Points(space(name))
    for branch in points.branches:
        rows = points.draw(RNG, 50, branch)
        near = points.near(RNG, rows, np.full(50, 0.01), branch)
        assert all(points.row(points.values(row)) is not None for row in near)
        assert (np.abs(near - rows)[np.isfinite(near) & np.isfinite(rows)] < 0.06).mean() > 0.9


def test_a_logarithmic_range_is_halved_at_its_geometric_middle() -> None:
    points = Points(space("no methods"))
    row = points.row({"training.lr": 0.1, "distiller.weight": 0.01})
    np.testing.assert_allclose(row, [0.5, 0.0])


def test_an_option_is_near_its_like_and_apart_from_others() -> None:
    points = Points(space("shared"))
    settings = [
        {"distiller": "mgd", "distiller.mgd.mask": mask, "distiller.mgd.kd_weight": 0.1}
        for mask in ("random", "random", "centre")
    ]
    shared = {"training.lr": 0.1, "training.batch": 4}
    rows = np.array([points.row({**one, **shared}) for one in settings])
    a, b, c = points.encode(rows)
    assert (a == b).all()
    assert np.linalg.norm(a - c) == pytest.approx(0.5 * 2**0.5)


def test_what_does_not_exist_has_no_number_and_no_weight() -> None:
    points = Points(space("nested"))
    row = points.row({"a": "y"})
    assert row is not None
    assert np.isnan(row[1])
    assert points.values(row) == {"a": "y"}
    assert points.encode(row[None])[0, -1] == 0.0


def test_every_method_with_every_pair_is_a_branch() -> None:
    assert len(Points(space("methods and pairs")).branches) == 6
    assert len(Points(space("no methods")).branches) == 1


@pytest.mark.parametrize(
    "values",
    [{}, {"a": "x"}, {"a": "x", "a.x.n": 3}, {"a": "z"}],
    ids=["nothing", "a part", "between two steps", "no option"],
)
def test_what_is_not_in_the_space_has_no_row(values: dict[str, object]) -> None:
    assert Points(space("nested")).row(values) is None
