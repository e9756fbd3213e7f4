"""What `search` found, as tables, and which of its targets were reached."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from afdcd.text import table

GP, PAUSING, RANDOM, HALVING = "gp", "gp + halving", "random", "random + halving"
BEFORE, PUBLISHED = "1ff7205", "published only"  # the references, one run each, and no search
POLICIES = (GP, PAUSING, RANDOM, HALVING, BEFORE, PUBLISHED)
HISTORIES = (50, 1000, 5000)  # trials after which a decision is timed
EDGE_RUNS, EDGE_LAST, EDGE_SEEDS = 50, 30, 10  # of the problem in which a third diverges
BELOW = 0.3  # points below what is published that count as a loss


@dataclass(frozen=True)
class Found:
    """What one policy came to in one world, in points.

    Attributes:
        missed: whether it lies `BELOW` points under the truly best reference, which one run each
            does not always show.
        ask: median time of a decision, in seconds of the clock.
    """

    world: str
    policy: str
    budget: int
    seed: int
    regret: float
    share: float
    missed: bool
    failures: int
    rows: int
    full: int
    ask: float


def policies_table(found: list[Found]) -> str:
    header = (
        *("policy", "budget", "studies", "share: mean", "median", "worst decile", "regret: mean"),
        *("p90", "below published only", "below best published", "failures", "rows", "full runs"),
        "decision, ms",
    )
    rows, losses = [], _losses(found)
    for (policy, budget), group in _grouped(found, lambda f: (f.policy, f.budget)).items():
        share, regret = np.array([f.share for f in group]), np.array([f.regret for f in group])
        numbers = (share.mean(), np.median(share), np.quantile(share, 0.1))
        rows.append(
            (
                policy,
                str(budget),
                str(len(group)),
                *(f"{number:.2f}" for number in numbers),
                f"{regret.mean():.2f}",
                f"{np.quantile(regret, 0.9):.2f}",
                f"{100 * np.mean([f in losses for f in group]):.1f} %",
                f"{100 * np.mean([f.missed for f in group]):.1f} %",
                *(f"{_mean(group, name):.1f}" for name in ("failures", "rows", "full")),
                f"{1000 * np.median([f.ask for f in group]):.0f}",
            )
        )
    return table(header, rows)


def worlds_table(found: list[Found]) -> str:
    worlds = list(dict.fromkeys(f.world for f in found))
    by_world = _grouped(found, lambda f: (f.policy, f.budget, f.world))
    rows = []
    for policy, budget in dict.fromkeys((f.policy, f.budget) for f in found):
        means = [_mean(by_world[policy, budget, world], "regret") for world in worlds]
        rows.append((policy, str(budget), *(f"{mean:.2f}" for mean in means)))
    return table(("policy", "budget", *worlds), rows)


def times_table(times: dict[tuple[str, int], float]) -> str:
    counts = list(dict.fromkeys(n for _, n in times))
    rows = [
        (policy, *(f"{times[policy, n]:.3f}" for n in counts))
        for policy in dict.fromkeys(p for p, _ in times)
    ]
    return table(("policy", *(f"{n} trials" for n in counts)), rows)


@dataclass(frozen=True)
class Target:
    """What was set out to be reached, and what was."""

    what: str
    wanted: str
    reached: bool
    found: str


def targets(
    found: list[Found], edge: list[int], times: dict[tuple[str, int], float]
) -> list[Target]:
    """Those that this measurement says something about."""
    groups, losses = _grouped(found, lambda f: (f.policy, f.budget)), _losses(found)
    stated = []
    for budget, mean, decile in ((20, 0.70, 0.35), (40, 0.80, 0.40)):
        if group := groups.get((GP, budget)):
            share = np.array([f.share for f in group])
            stated += [
                _least(f"share of the possible gain, {budget} runs", mean, share.mean()),
                _least(f"its worst decile, {budget} runs", decile, float(np.quantile(share, 0.1))),
                _most(
                    f"studies {BELOW} below the published settings alone, {budget} runs, %",
                    3.0,
                    100 * float(np.mean([f in losses for f in group])),
                ),
            ]
            worse = [w for w in _worlds(group) if _worse(groups, budget, w)]
            told = ", ".join(worse) or "none"
            what = f"worlds worse than {RANDOM}, {budget} runs"
            stated.append(Target(what, "none", not worse, told))
    if {(GP, 20), (HALVING, 40)} <= groups.keys():
        bound = _mean(groups[HALVING, 40], "regret")
        what = f"regret with 20 runs, below {HALVING} with 40"
        stated.append(_most(what, bound, _mean(groups[GP, 20], "regret")))
    what = f"diverging among the last {EDGE_LAST} of {EDGE_RUNS}, median"
    stated.append(_most(what, 8.0, float(np.median(edge))))
    for (policy, trials), seconds in times.items():
        if policy == GP and trials == HISTORIES[-1]:
            stated.append(_most(f"seconds of a decision at {trials} trials", 0.5, seconds))
    return stated


def targets_table(stated: Iterable[Target]) -> str:
    rows = [(t.what, t.wanted, t.found, "reached" if t.reached else "not reached") for t in stated]
    return table(("target", "wanted", "found", ""), rows)


def _least(what: str, wanted: float, value: float) -> Target:
    return Target(what, f"at least {wanted:.2f}", value >= wanted, f"{value:.2f}")


def _most(what: str, wanted: float, value: float) -> Target:
    return Target(what, f"at most {wanted:.2f}", value <= wanted, f"{value:.2f}")


def _worse(groups: dict[Any, list[Found]], budget: int, world: str) -> bool:
    own, other = (
        _mean([f for f in groups[policy, budget] if f.world == world], "regret")
        for policy in (GP, RANDOM)
    )
    return own > other


def _losses(found: list[Found]) -> set[Found]:
    """Those that are worse off than if only the published settings had been run."""
    alone = {(f.world, f.budget, f.seed): f.regret for f in found if f.policy == PUBLISHED}
    return {f for f in found if f.regret - alone[f.world, f.budget, f.seed] > BELOW}


def _worlds(found: Iterable[Found]) -> list[str]:
    return list(dict.fromkeys(f.world for f in found))


def _mean(found: Iterable[Found], name: str) -> float:
    return float(np.mean([getattr(f, name) for f in found]))


def _grouped(found: Iterable[Found], by: Callable[[Found], Any]) -> dict[Any, list[Found]]:
    groups: dict[Any, list[Found]] = {}
    for one in found:
        groups.setdefault(by(one), []).append(one)
    return groups
