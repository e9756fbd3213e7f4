"""`search`: how good a student each search policy finds, in made-up problems whose truth is known."""

import argparse
import itertools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from afdcd.bench.report import Report, conditions, heading
from afdcd.bench.search_tables import (
    BEFORE,
    BELOW,
    EDGE_LAST,
    EDGE_RUNS,
    EDGE_SEEDS,
    GP,
    HALVING,
    HISTORIES,
    PAUSING,
    POLICIES,
    PUBLISHED,
    RANDOM,
    Found,
    policies_table,
    targets,
    targets_table,
    times_table,
    worlds_table,
)
from afdcd.bench.worlds import KINDS
from afdcd.config import UserError
from afdcd.environment import set_defaults
from afdcd.search.config import SamplerName

if TYPE_CHECKING:
    import torch

PLACES = ((1, 4), (4, 16), (1, 16), (4, 4))  # pairs and workers, one after the other over seeds
FURTHER = 20  # runs after a history, each of which is decided


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", type=int, default=16, help="of each world; default: 16")
    parser.add_argument(
        "--budget", type=int, nargs="+", default=[20, 40], help="full runs; default: 20 40"
    )
    parser.add_argument("--worlds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument(
        "--trials", type=int, nargs="*", default=HISTORIES, help="after which a decision is timed"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes; default: 2")


def measure(args: argparse.Namespace, device: "torch.device") -> Report:
    """Raises UserError: nothing to measure."""
    if min(args.seeds, args.jobs, *args.budget) < 1:
        raise UserError("--seeds, --budget and --jobs must be at least 1")
    # Of the processes to come, or their threads wait for each other.
    set_defaults({"OMP_NUM_THREADS": "1"})
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("spawn")) as pool:
        cases = list(itertools.product(args.worlds, POLICIES, args.budget, range(args.seeds)))
        found = list(pool.map(study, *zip(*cases, strict=True), chunksize=4))
        edge = list(pool.map(diverging, range(EDGE_SEEDS)))
        timed = [(name, n) for name in (GP, BEFORE) for n in args.trials]
        asks = list(pool.map(decision, *zip(*timed, strict=True))) if timed else []
    times = dict(zip(timed, asks, strict=True))
    about = conditions(device)
    text = [
        heading(
            f"Searches in virtual time, {args.seeds} seeds of {len(args.worlds)} worlds", about
        ),
        policies_table(found),
        "Mean regret in points, by world",
        worlds_table(found),
        "Seconds of the clock of one decision, median",
        times_table(times),
        f"Runs that diverge among the last {EDGE_LAST} of {EDGE_RUNS}, where a third of a range does",
        f"median {np.median(edge):g} of {EDGE_SEEDS} seeds: {', '.join(map(str, edge))}",
        "Targets",
        targets_table(targets(found, edge, times)),
    ]
    values = {"command": "search", "studies": [asdict(f) for f in found], "diverging": edge}
    values["decisions"] = [{"policy": p, "trials": n, "seconds": s} for (p, n), s in times.items()]
    return Report("\n\n".join(text), {**values, **about})


def study(kind: str, policy: str, budget: int, seed: int) -> Found:
    """One policy in one world."""
    from afdcd.bench.simulate import simulate
    from afdcd.bench.worlds import World

    pairs, workers = PLACES[seed % len(PLACES)]
    world = World(kind, seed, pairs)
    found = simulate(world, side_of(world, policy, budget, seed), workers, seed)
    truth = world.plain - 2 if found.choice is None else world.value(found.choice)
    regret = world.best - truth
    return Found(
        kind,
        policy,
        budget,
        seed,
        regret,
        1 - regret / max(world.best - world.plain, 1.0),
        world.published - truth > BELOW,
        sum(found.failed.values()),
        len(found.failed),
        found.full,
        float(np.median(found.asking)),
    )


def diverging(seed: int) -> int:
    """How many of the last runs diverge, in a search whose best learning rate lies near, or far from,
    the third that does."""
    from afdcd.bench.edge import Edge
    from afdcd.bench.simulate import simulate

    problem = Edge(best=(0.2, 0.45, 0.62)[seed % 3], seed=seed)
    found = simulate(problem, side_of(problem, GP, EDGE_RUNS, seed), 4, seed)
    return sum(list(found.failed.values())[-EDGE_LAST:])


def decision(policy: str, trials: int) -> float:
    """The median time of a decision after so many trials."""
    from afdcd.bench.history import fill
    from afdcd.bench.simulate import simulate
    from afdcd.bench.worlds import World

    world = World("easy", 0, 4)
    side = side_of(world, policy, FURTHER if policy == BEFORE else FURTHER + trials, 0)
    fill(side.database, world, trials)
    return float(np.median(simulate(world, side, 4, 0).asking))


def side_of(problem: Any, policy: str, budget: int, seed: int) -> Any:
    """A policy with a budget, ready to search a problem."""
    from afdcd.bench.sides import Before, StudySide

    if policy == BEFORE:
        return Before(problem, budget, seed)
    if policy == PUBLISHED:
        budget = min(budget, len(problem.references))
    name: SamplerName = "random" if policy in (RANDOM, HALVING) else "gp"
    return StudySide(problem, name, budget, seed, halving=policy in (PAUSING, HALVING))
