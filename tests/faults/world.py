"""A small study in a world of its own, run again after each disturbance as a person would run it."""

import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import optuna
import pytest

from afdcd.config import UserError
from afdcd.search import (
    holder,
    lease,
    leases,
    loop,
    missing,
    open_study,
    patience,
    session,
    winners,
    work_clock,
)
from afdcd.search import run_study as module
from afdcd.search.load import SearchSpace
from afdcd.search.progress import Progress
from afdcd.tasks.score import Score
from afdcd.tracking import points, runs, tidy, tracker
from afdcd.training import artifacts, run, worker
from tests.faults import lean
from tests.faults.boundary import Boundary, KilledError
from tests.faults.clock import Clock
from tests.faults.cluster import Networks, VirtualCluster

ATTEMPTS = 4  # the first, and three more by whoever looks after it
SPACE = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 4, validate_every: 2, batch: 4, lr: {choice: [0.01, 0.02, 0.04]}}
study:
  trials: 3
  sampler: tpe  # in whose place `Worst` stands
  grace: 2
  reduction: 3
  keep: 2
  proof: {seeds: 0}
  enqueue:
    - {training: {lr: 0.02}}
    - {training: {lr: 0.02, seed: 1}}
    - {training: {lr: 0.04}}
"""


class Worst(optuna.samplers.BaseSampler):
    """Proposes what is in no reference: the run that is paused."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, distribution: Any) -> Any:
        return distribution.choices[0]


class World:
    """One case: a place, its time, what is disturbed in it, and how often the command was given."""

    def __init__(self, space: SearchSpace, networks: Networks) -> None:
        self.clock = Clock()
        self.boundary = Boundary(self.clock)
        self.cluster = VirtualCluster(self.boundary, networks)
        self._space, self._networks = space, networks
        self.attempts = 0
        self.crashed = False
        self.again: Callable[[], None] = lambda: None  # called before the command is given again
        self.said: list[str] = []  # how each attempt but the last one ended

    def run(self) -> None:
        """Give the command until it says that the study is finished."""
        while self.attempts < ATTEMPTS:
            if self.attempts:
                self.again()
            self.attempts += 1
            self.clock.threads.clear()
            self.boundary.dead = False
            try:
                if module.run_study(self._space).finished:
                    return
                self.said.append("interrupted")
            except UserError as error:
                self.said.append(str(error))
            except Exception as error:  # a person would see a traceback
                self.said.append("".join(traceback.format_exception(error)))
                self.crashed = True
            except KilledError:
                self.said.append("killed")
        raise AssertionError(f"not finished after {ATTEMPTS} attempts: {self.said}")

    def install(self, patch: pytest.MonkeyPatch) -> None:
        lean.install(patch)
        self.boundary.install(patch)
        self.cluster.install(patch)
        self._install_time(patch)
        patch.setattr(holder, "identity", lambda: f"here 1 {self.attempts} x")
        patch.setattr(holder, "has_ended", lambda who: int(who.split(" ")[2]) < self.attempts)
        patch.setattr(open_study.optuna.samplers, "TPESampler", lambda **_: Worst())
        patch.setattr(winners, "score_networks", self._scores)
        for place in (artifacts, missing):
            real = place.load_network
            patch.setattr(place, "load_network", partial(self._networks.load, real=real))

    def _install_time(self, patch: pytest.MonkeyPatch) -> None:
        for place in (lease, leases, loop, worker, run, runs, points, tidy, tracker, work_clock):
            patch.setattr(place, "time", self.clock)
        for place in (lease, tracker, work_clock):
            patch.setattr(place, "threading", self.clock)
        clock = self.clock.monotonic
        patch.setattr(lease, "Seen", partial(lease.Seen, clock=clock))
        patch.setattr(session, "Tracker", partial(tracker.Tracker, clock=clock))
        patch.setattr(module, "Progress", partial(Progress, clock=clock, threads=False))
        patch.setattr(patience, "_sleep", self.clock.sleep)

    def _scores(self, weights: list[str], *_: Any) -> list[Score]:
        found = [artifacts.load_from(uri)[1] for uri in weights]
        return [Score(name="miou", value=(card.miou or 0.0) / 2) for card in found]
