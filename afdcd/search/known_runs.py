"""What is known of a study's runs: questions to its database that change nothing."""

from functools import cached_property
from typing import Any

import optuna
from optuna.trial import TrialState

from afdcd.search import rows
from afdcd.search.book import Book
from afdcd.search.division import Label, value_of
from afdcd.search.policy.divided import Divided, divided
from afdcd.search.policy.samplers import Sampler, sampler_of
from afdcd.search.policy.warm import observations
from afdcd.search.rows import Entry, RunKey
from afdcd.search.rungs import Rules, goes_on, values_at
from afdcd.search.settings import Fitting, Settings, with_seed
from afdcd.search.spending import Spending
from afdcd.search.spent import affordable
from afdcd.search.wishes import trials_of
from afdcd.training.job import FINISHED
from afdcd.training.trial import TrialConfig


class KnownRuns:
    """The runs of a study, and which of them count."""

    def __init__(self, study: optuna.Study, settings: Settings, rules: Rules, seed: int) -> None:
        self.study, self.settings, self.rules = study, settings, rules
        self.spending = Spending(study)
        self._book, self._fitting = Book(study), Fitting(settings)
        self._sampler = self._made_sampler(seed)

    @cached_property
    def id(self) -> str:
        return str(self.study.user_attrs["id"])

    @property
    def name(self) -> str:
        return self.study.study_name

    def trials(self) -> int:
        """How many trials the study shall have: as its file says, or as somebody asked since."""
        return trials_of(self._book.attributes, self.rules.trials)

    def everything(self) -> list[Entry]:
        """Every row, those that do not count too."""
        return self._book.everything()

    def entries(self) -> list[Entry]:
        """The rows that count: begun, in the present space, and not taken up by a later row."""
        return self.counting(self.everything())

    def counting(self, everything: list[Entry]) -> list[Entry]:
        """Those of all rows that count."""
        return [e for e in rows.standing(everything) if self._fitting.holds(e)]

    def counted(self) -> int:
        """How many trials there are, lost ones excepted; further seeds and proofs are none."""
        return sum(1 for e in self.entries() if e.outcome != "lost" and e.is_searched)

    def affordable(self, known: list[Entry]) -> int:
        """How many trials can still be paid to their end, beside those that count."""
        trials, division = self.trials(), self.rules.division
        if division is None:
            return affordable(trials, known)
        return sum(division.left(trials, known).values())

    def wanted(self) -> int:
        """How many runs the study will have in all, if all that start now reach their end."""
        self._book.look()
        waiting = [e for e in self.everything() if e.state == TrialState.WAITING]
        further = [e for e in self.entries() if not e.is_searched]
        asked = sum(1 for e in waiting if e.seed is None)
        trials = self.counted() + max(asked, self.affordable(self.entries()))
        return trials + len(further) + len(waiting) - asked

    def best(self, count: int = 1) -> list[Entry]:
        """The `count` best trials that came to their end, best first, as the sampler judges them."""
        return self._sampler.ranked(self.entries())[:count]

    def best_of(self, value: Label) -> list[Entry]:
        """The trials of one value of `study.budget_per` that came to their end, best first.

        As its own sampler judges them, which knows no other value's.
        """
        assert isinstance(self._sampler, Divided)
        return self._sampler.ranked_of(value, self.entries())

    def outside(self) -> int:
        """How many runs that ended lie outside the present space, and so do not count."""
        known = rows.standing(self.everything())
        ended = [e for e in known if e.outcome in ("completed", "paused")]
        return sum(1 for e in ended if not self._fitting.holds(e))

    def finished(self) -> int:
        """How many runs need not be run again."""
        return sum(1 for e in self.entries() if e.outcome in FINISHED)

    def spent(self) -> float:
        """Device-hours of all runs that ended, lost attempts included, and of what came besides."""
        ended = [entry for entry in rows.standing(self.everything()) if entry.outcome]
        return self.spending.device_hours(ended)

    def config_of(self, entry: Entry) -> TrialConfig | None:
        """The configuration of a run as the present space gives it; None if it cannot."""
        return self._fitting.config_of(entry)

    def trial_of(self, config: TrialConfig) -> int | None:
        """The trial that runs this setting, whatever its seed; None if there is none."""
        began = [e for e in self.entries() if e.identity and e.repeats is None]
        seeds = {e.setting["training"]["seed"] for e in began if e.setting}
        same = {self.settings.identity(with_seed(config, seed)) for seed in seeds}
        return next((e.first for e in began if e.identity in same), None)

    def pauses(self, entry: Entry, iteration: int, value: float) -> bool:
        """Whether a run should pause here: a function of what all runs had at this iteration, and no more."""
        rule = self.rules
        if not entry.may_pause or iteration not in rule.rungs:
            return False
        others = [e for e in self.entries() if e.number != entry.number and e.is_searched]
        if rule.division:  # each value is a search of its own
            others = rule.division.own(others, value_of(entry, rule.division.key))
        peers = values_at(iteration, [e.curve for e in others])
        return not goes_on(value, peers, rule.reduction, rule.higher_is_better)

    def searched(self, trial: int) -> dict[str, Any]:
        """The searched values of a trial."""
        return next(e.searched for e in self.entries() if e.run == RunKey(trial))

    def twin(self, number: int, identity: str) -> Entry | None:
        """Another row that counts and stands for this run."""
        others = (e for e in rows.standing(self.everything()) if e.number != number)
        alike = (e for e in others if _stands_for(e, identity))
        return next((e for e in alike if self._fitting.holds(e)), None)

    def _made_sampler(self, seed: int) -> Sampler:
        rules = self.rules
        what = (rules.sampler, self.settings.space, seed, self._fitting.parameters_of)
        known: dict[str, Any] = {"maximise": rules.higher_is_better}
        known["warm"] = observations(self.study)
        if rules.division is None:
            return sampler_of(*what, **known)
        return divided(rules.division, *what, self.trials, **known)


def _stands_for(entry: Entry, identity: str) -> bool:
    """Whether a row has run, or runs, exactly this; lost and killed ones are run again."""
    return entry.identity == identity and entry.outcome not in ("lost", "killed")
