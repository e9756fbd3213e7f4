"""What is learnt of settings that cannot be trained."""

import numpy as np

from afdcd.search.policy.feasible import log_feasible
from afdcd.search.policy.points import Array, Points
from tests.search.policy.spaces import space

POINTS = Points(space("shared"))


def settings(method: str, rates: list[float]) -> Array:
    values = {"distiller": method, "training.batch": 4}
    if method == "kd":
        values |= {"distiller.kd.weight": 0.1, "distiller.kd.temperature": 2.0}
    found = [POINTS.row({**values, "training.lr": rate}) for rate in rates]
    return POINTS.encode(np.array(found))


def test_beyond_an_edge_hardly_anything_trains_and_before_it_all_does() -> None:
    rates = [0.012, 0.02, 0.05, 0.1, 0.15, 0.3, 0.5, 0.9]
    failed = np.array([rate > 0.2 for rate in rates])
    chance = np.exp(log_feasible(settings("none", rates), failed, settings("none", [0.03, 0.6])))
    assert chance[0] > 0.9
    assert chance[1] < 0.1


def test_one_method_says_nothing_of_another() -> None:
    tried = np.vstack([settings("none", [0.1] * 5), settings("kd", [0.1] * 5)])
    failed = np.r_[np.ones(5, bool), np.zeros(5, bool)]
    found = log_feasible(tried, failed, np.vstack([settings("none", [0.1]), settings("kd", [0.1])]))
    assert found[0] < np.log(0.3)
    assert found[1] == 0.0


def test_where_nothing_failed_all_is_sound() -> None:
    tried = settings("none", [0.1, 0.2])
    assert (log_feasible(tried, np.zeros(2, bool), tried) == 0).all()
