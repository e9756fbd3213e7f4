"""`bench search` on a handful of studies: worlds are what they say, every row and target is there."""

import argparse
import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from afdcd.bench import search
from afdcd.bench.edge import Edge
from afdcd.bench.search_tables import GP, POLICIES, PUBLISHED, Found, policies_table, targets
from afdcd.bench.sides import Before, StudySide
from afdcd.bench.simulate import simulate
from afdcd.bench.worlds import KINDS, World
from afdcd.config import UserError, validate
from afdcd.search.space import resolve
from afdcd.training.trial import TrialConfig


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_a_world_are_real_and_the_best_is_the_best(kind: str) -> None:
    world, rng = World(kind, 0, 2), np.random.default_rng(0)
    for branch in world.points.branches:
        rows = world.points.draw(rng, 30, branch)
        sound = [row for row in rows if not world.family(row).diverges(row)]
        assert max(world.value(row) for row in sound) <= world.best + 0.05
        values = world.points.values(rows[0])
        validate(TrialConfig, resolve(world.space, lambda path, _, v=values: v[path]))
    assert world.plain <= world.published <= world.best


def test_a_run_shows_the_truth_but_for_noise_and_is_the_same_each_time() -> None:
    world = World("easy", 0, 1)
    row = world.references[1]
    finals = [world.run(row, seed)[-1] for seed in range(200)]
    assert np.nanmean(finals) == pytest.approx(world.value(row), abs=0.15)
    np.testing.assert_array_equal(world.run(row), world.run(row))
    assert world.run(row)[0] < world.value(row) - 3


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_spends_its_budget_and_chooses(policy: str) -> None:
    world = World("easy", 0, 1)
    found = simulate(world, search.side_of(world, policy, 8, 0), 2, 0)
    budget = len(world.references) if policy == PUBLISHED else 8
    assert budget - 1 < found.spent <= budget
    assert found.choice is not None
    assert world.plain - 3 < world.value(found.choice) <= world.best + 0.05


def test_the_same_seed_gives_the_same_study() -> None:
    world = World("easy", 0, 1)
    first, again = (simulate(world, StudySide(world, GP, 8, 3, halving=False), 4, 3) for _ in "ab")
    np.testing.assert_array_equal(first.choice, again.choice)


def test_further_seeds_of_a_setting_have_noise_of_their_own() -> None:
    world, drawn = World("easy", 0, 1), []
    side = StudySide(world, GP, 4, 0, halving=False)
    shown = world.run
    world.run = lambda row, seed=0: drawn.append(seed) or shown(row, seed)
    side.study.next = _repeating(side.study.next, side.study.repeat)
    simulate(world, side, 1, 0)
    assert drawn == [0, 0, 0, 7, 0]


def _repeating(ask: Callable[[], Any], repeat: Callable[[int, int], None]) -> Callable[[], Any]:
    """Asks for another seed of the first trial before the fourth run."""
    count = itertools.count()

    def next_one() -> Any:
        if next(count) == 3:
            repeat(0, 7)
        return ask()

    return next_one


def test_halving_pauses_and_the_policy_of_before_spends_on_copies_nothing() -> None:
    world = World("easy", 0, 1)
    halved = simulate(world, StudySide(world, "random", 8, 0, halving=True), 2, 0)
    assert len(halved.failed) > 12 > 8 > halved.full
    side = Before(world, 8, 0)
    found = simulate(world, side, 2, 0)
    assert len(found.failed) == len(side.ran()) >= 8


def test_runs_beyond_the_edge_diverge() -> None:
    edge = Edge(best=0.5, seed=0)
    rows = edge.points.draw(np.random.default_rng(0), 60, edge.points.branches[0])
    rate = rows[:, [column.path for column in edge.points.columns].index("training.lr")]
    diverged = [bool(np.isnan(edge.run(row)).any()) for row in rows]
    assert diverged == list(rate > edge.limit)


def found_of(policy: str, budget: int, share: float, regret: float, world: str = "easy") -> Found:
    return Found(world, policy, budget, 0, regret, share, share < 0.5, 0, budget, budget, 0.1)


def test_targets_say_what_was_reached() -> None:
    found = [
        found_of(GP, 20, 0.75, 0.5),
        found_of(PUBLISHED, 20, 0.7, 0.1),
        found_of(PUBLISHED, 40, 0.7, 0.6),
        found_of("random", 20, 0.5, 0.4),
        found_of("random + halving", 40, 0.6, 0.6),
    ]
    said = {t.what: t.reached for t in targets(found, [2, 9, 30], {(GP, 5000): 0.2})}
    assert said == {
        "share of the possible gain, 20 runs": True,
        "its worst decile, 20 runs": True,
        "studies 0.3 below the published settings alone, 20 runs, %": False,
        "worlds worse than random, 20 runs": False,
        "regret with 20 runs, below random + halving with 40": True,
        "diverging among the last 30 of 50, median": False,
        "seconds of a decision at 5000 trials": True,
    }


def test_a_loss_is_against_what_the_published_settings_alone_lead_to() -> None:
    found = [
        found_of(PUBLISHED, 20, 0.3, 0.8),  # not the best of them, by bad luck
        found_of(GP, 20, 0.3, 1.0),
        found_of("random", 20, 0.2, 1.2),
    ]
    cells = [re.split(" {2,}", line) for line in policies_table(found).splitlines()]
    alone, best = (cells[0].index(f"below {what}") for what in ("published only", "best published"))
    rows = {line[0]: line for line in cells}
    assert [rows[of][alone] for of in (PUBLISHED, GP, "random")] == ["0.0 %", "0.0 %", "100.0 %"]
    assert rows[GP][best] == "100.0 %"


@pytest.mark.timeout(180)
def test_the_report_has_every_policy_world_and_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "EDGE_SEEDS", 1)
    monkeypatch.setattr(search, "diverging", int)  # it takes 50 runs
    args = argparse.Namespace(seeds=1, budget=[6], worlds=["easy"], trials=[50], jobs=1)
    report = search.measure(args, torch.device("cpu"))
    assert [row["policy"] for row in report.values["studies"]] == list(POLICIES)
    assert {row["trials"] for row in report.values["decisions"]} == {50}
    assert all(policy in report.text for policy in POLICIES)
    assert "not reached" in report.text or "reached" in report.text


def test_nothing_to_measure_is_refused() -> None:
    args = argparse.Namespace(seeds=0, budget=[6], worlds=["easy"], trials=[], jobs=1)
    with pytest.raises(UserError, match="must be at least 1"):
        search.measure(args, torch.device("cpu"))
