"""The last runs of a study settle its choice where that is in doubt: further seeds, paid as trials are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afdcd.search.book import Book
from afdcd.search.budget import Budget, Cost
from afdcd.search.config import BudgetConfig
from afdcd.search.policy import samplers
from afdcd.search.policy.samplers import SCARCE, SHARE
from afdcd.search.spent import full_runs
from afdcd.search.study import Study
from afdcd.training.job import Job
from tests.search.policy.test_samplers import BOTH, SPACE, policies
from tests.search.studies import completed, opened

TRIALS = 10  # of which one may be a further seed here


@pytest.fixture(autouse=True)
def spared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small studies have a run to spare, so that these tests take little time."""
    monkeypatch.setattr(samplers, "SHARE", TRIALS)
    monkeypatch.setattr(samplers, "SCARCE", TRIALS)


def luck(job: Job) -> float:
    """Nothing is better than anything else: all differences are those of a setting and its seed."""
    drawn = np.random.default_rng([int(job.identity[:8], 16), job.config.training.seed])
    return 0.7 + 0.004 * float(drawn.normal())


def ran(study: Study, count: int, value: Any = luck) -> list[Job]:
    jobs = []
    while len(jobs) < count and (job := study.next()):
        jobs.append(job)
        study.end(job, completed(value(job)))
    return jobs


def in_doubt(folder: Path, **rules: Any) -> Study:
    """A study that has one run left."""
    study = opened(folder, SPACE, BOTH, **{"trials": TRIALS, **rules})
    ran(study, TRIALS - 1)
    return study


def further(study: Study) -> list[int]:
    """The rows that were run as further seeds."""
    return [row for row, said in enumerate(policies(study)) if said["why"] == "further seed"]


def test_the_last_run_is_a_further_seed_of_a_reference_that_may_be_beaten(tmp_path: Path) -> None:
    study = in_doubt(tmp_path)
    before = study.best()[0]
    assert not further(study)
    job = study.next()
    assert further(study) == [TRIALS - 1]
    assert job.repeats in ("trial-0000", "trial-0001")
    began = study.entries()[int(job.repeats[-1])]
    assert job.config.training.seed != began.setting["training"]["seed"]
    assert job.config.distiller.plain() == began.setting["distiller"]
    study.end(job, completed(0.74))  # the reference is far better than its first seed
    assert before.first != began.first
    assert study.best()[0].first == began.first


def test_it_is_paid_as_a_trial_is_and_began_none(tmp_path: Path) -> None:
    study = in_doubt(tmp_path)
    ran(study, 9)
    assert full_runs(study.entries()) == TRIALS
    assert study.counted() == TRIALS - 1
    assert study.wanted() == study.finished() == TRIALS
    assert all(entry.repeats is None for entry in study.best(TRIALS))


def test_nothing_is_run_again_where_the_choice_is_clear(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, BOTH, trials=TRIALS)
    ran(study, TRIALS, lambda job: 0.7 + 0.01 * getattr(job.config.distiller, "weight", 0.0))
    assert not further(study)


def test_a_small_study_has_no_run_to_spare(tmp_path: Path) -> None:
    study = opened(tmp_path, SPACE, BOTH, trials=TRIALS - 1)
    assert len(ran(study, TRIALS)) == TRIALS - 1
    assert not further(study)


@pytest.mark.parametrize(("trials", "spared"), [(39, 0), (40, 2), (60, 3), (1000, 4)])
def test_one_run_in_twenty_may_be_spared_and_few_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trials: int, spared: int
) -> None:
    study = in_doubt(tmp_path)
    entries, unsure = study.entries(), []
    monkeypatch.setattr(samplers, "SHARE", SHARE)
    monkeypatch.setattr(samplers, "SCARCE", SCARCE)
    for left in range(1, 9):
        spent = trials - left - 0.25  # one run failed, and what is left pays for no whole one
        monkeypatch.setattr(samplers, "full_runs", lambda _, spent=spent: spent)
        unsure += [left] if study._sampler.unsure(entries, left) else []
    assert unsure == list(range(1, spared + 1))


def test_rivals_take_turns_the_reference_first(tmp_path: Path) -> None:
    study = in_doubt(tmp_path, trials=2 * TRIALS)
    ran(study, TRIALS - 1)
    first, second = ran(study, 2)
    assert first.repeats != second.repeats
    assert first.repeats in ("trial-0000", "trial-0001")
    assert first.config.training.seed != second.config.training.seed


def test_another_driver_goes_on_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if the first one died before all was written down, and other runs have ended the doubt since."""
    study = in_doubt(tmp_path)
    settled = study._sampler.unsure(study.entries(), 1).run

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Book, "pin", die)
        with pytest.raises(KeyboardInterrupt):
            study.next()
    with monkeypatch.context() as since:
        since.setattr(samplers.ByModel, "unsure", lambda *_: None)
        job = opened(tmp_path, SPACE, BOTH, trials=TRIALS).next()
    third = opened(tmp_path, SPACE, BOTH, trials=TRIALS)
    again = third.next()
    assert job.name == again.name == f"{settled.name}-seed-{job.config.training.seed}"
    assert job.identity == again.identity
    trial, row = (e for e in third.everything() if e.run.trial == settled.trial)
    assert row.searched == trial.searched


def test_what_is_laid_aside_for_the_proof_does_not_pay_for_it(tmp_path: Path) -> None:
    study = in_doubt(tmp_path)
    job = study.next()
    entry = next(e for e in study.entries() if e.run.name == job.name)
    study.spending.budget = Budget(BudgetConfig(device_hours=2.0), proof_runs=2)
    study.spending.expected = Cost(device_hours=1.0, hours=1.0)
    assert study.spending.refuses(study.everything(), [], study.settings, entry)
