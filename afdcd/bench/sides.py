"""The policies that `search` compares: this study's samplers, and the policy of commit 1ff7205."""

import math
import warnings
from functools import partial
from typing import Any

import optuna
from optuna.trial import TrialState

from afdcd.bench.curves import VALIDATIONS
from afdcd.bench.simulate import Problem
from afdcd.config import validate
from afdcd.search.config import SamplerName
from afdcd.search.open_study import open_study
from afdcd.search.policy.points import Array
from afdcd.search.rungs import Rules, rungs
from afdcd.search.settings import Proposal, Settings
from afdcd.search.space import resolve
from afdcd.seeds import derive
from afdcd.tasks.score import Score
from afdcd.training.job import Failure, Job, Report, result_of
from afdcd.training.trial import TrialConfig

optuna.logging.set_verbosity(optuna.logging.ERROR)

GRACE, REDUCTION = VALIDATIONS // 10, 3  # of successive halving
POINTS = 100.0  # a world's points in one unit of a score


class StudySide:
    """The real `Study`, over a database in memory."""

    def __init__(
        self, problem: Problem, sampler: SamplerName, budget: int, seed: int, *, halving: bool
    ) -> None:
        self._points = problem.points
        compared = rungs(VALIDATIONS, 1, GRACE, REDUCTION) if halving else []
        rules = Rules(budget, tuple(compared), REDUCTION, sampler=sampler)
        references = [self._points.values(row) for row in problem.references]
        self.database = optuna.create_study(direction="maximize")
        settings = settings_of(problem.space)
        self.study = open_study(self.database, settings, rules, references, seed, "bench")
        self._jobs: dict[str, Job] = {}

    def next(self) -> tuple[str, Array] | None:
        job = self.study.next()
        if job is None:
            return None
        self._jobs[job.name] = job
        entry = next(e for e in reversed(self.study.everything()) if e.run.name == job.name)
        row = self._points.row(entry.searched)
        assert row is not None
        return job.name, row

    def seed_of(self, name: str) -> int:
        return self._jobs[name].config.training.seed

    def report(self, name: str, validation: int, value: float) -> bool:
        return self.study.report(self._jobs[name], _report(validation, value))

    def end(self, name: str, validation: int, value: float) -> None:
        failure = Failure(failed="diverged", fault="setting") if math.isnan(value) else None
        last = None if failure else _report(validation, value)
        self.study.end(self._jobs.pop(name), result_of(VALIDATIONS, last, failure))

    def choice(self) -> Array | None:
        best = self.study.best()
        return self._points.row(best[0].searched) if best else None


class Before:
    """The policy of commit 1ff7205, whose `Study` this repeats on plain Optuna.

    TPE and Optuna's successive halving: references run whole and enter no rung, a proposal that was
    run already is told its twin's result, failures teach nothing, and the highest score wins. Its
    budget is given in full runs here, where it counted trials.
    """

    def __init__(self, problem: Problem, budget: int, seed: int) -> None:
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._problem, self._budget, self._spent = problem, budget, 0.0
        sampler = optuna.samplers.TPESampler(
            seed=derive(seed, "sampler", 0) % 2**32,
            multivariate=True,
            group=True,
            constant_liar=True,
        )
        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=GRACE, reduction_factor=REDUCTION
        )
        self.database = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
        for row in problem.references:
            values = problem.points.values(row)
            self.database.enqueue_trial(values, user_attrs={"reference": True}, skip_if_exists=True)
        self._live: dict[str, optuna.Trial] = {}

    def next(self) -> tuple[str, Array] | None:
        for _ in range(50):
            if self._spent + len(self._live) + 1 > self._budget + 1e-9:
                return None
            trial = self.database.ask()
            resolve(self._problem.space, partial(_suggested, trial))
            twin = self._twin(trial)
            if twin is None:
                name = str(trial.number)
                self._live[name] = trial
                row = self._problem.points.row(trial.params)
                assert row is not None
                return name, row
            trial.set_user_attr("twin", twin.number)
            done = twin.state == TrialState.COMPLETE
            self.database.tell(
                trial, twin.value if done else None, None if done else TrialState.PRUNED
            )
        return None

    def seed_of(self, name: str) -> int:
        return 0  # it runs no setting twice

    def report(self, name: str, validation: int, value: float) -> bool:
        trial = self._live[name]
        if math.isnan(value):
            return True
        trial.report(value / POINTS, validation)
        last, reference = validation == VALIDATIONS, "reference" in trial.user_attrs
        return not last and not reference and trial.should_prune()

    def end(self, name: str, validation: int, value: float) -> None:
        trial = self._live.pop(name)
        self._spent += validation / VALIDATIONS
        if math.isnan(value):
            self.database.tell(trial, state=TrialState.FAIL)
        elif validation == VALIDATIONS:
            self.database.tell(trial, value / POINTS)
        else:
            self.database.tell(trial, state=TrialState.PRUNED)

    def choice(self) -> Array | None:
        done = [t for t in self.ran() if t.state == TrialState.COMPLETE]
        best = max(done, key=lambda t: t.value or 0.0, default=None)
        return self._problem.points.row(best.params) if best else None

    def ran(self) -> list[optuna.trial.FrozenTrial]:
        """Trials that were started, copies excepted."""
        known = self.database.get_trials(deepcopy=False)
        return [t for t in known if t.state != TrialState.WAITING and "twin" not in t.user_attrs]

    def _twin(self, trial: optuna.Trial) -> optuna.trial.FrozenTrial | None:
        for other in self.ran():
            same = other.number != trial.number and other.params == trial.params
            if same and other.state != TrialState.FAIL:
                return other
        return None


def _suggested(trial: optuna.Trial, name: str, node: Any) -> Any:
    if hasattr(node, "labels"):
        return trial.suggest_categorical(name, node.labels)
    return node.suggest(trial, name)


def settings_of(space: dict[str, Any]) -> Settings:
    return Settings(
        space, lambda v: validate(TrialConfig, v), lambda c: c.fingerprint("digest"), _job
    )


def _job(proposal: Proposal) -> Job:
    run = proposal.run
    return Job(
        name=run.name,
        title=run.name,
        config=proposal.config,
        folder=run.folder("."),
        identity=proposal.identity,
        repeats=run.repeats,
    )


def _report(validation: int, value: float) -> Report:
    score = Score(name="miou", value=value / POINTS)
    return Report(iteration=validation, score=score, seconds=1.0, devices=1, device="cpu")
