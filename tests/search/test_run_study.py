"""A study as a source of jobs, fed by hand: what becomes of each way a job can end."""

import math
from pathlib import Path

import pytest
from optuna.trial import TrialState

from afdcd.config import Source, UserError
from afdcd.search.config import StudyConfig
from afdcd.search.run_study import StudyJobs, _only_driver, job_name, job_number
from afdcd.search.space import parse_ranges
from afdcd.search.study import CAUSE, Proposal, Study, open_study
from afdcd.training.job import Job, RunResult
from tests.examples import job

SPACE = parse_ranges({"lr": {"uniform": [0.01, 0.1]}}, Source())


@pytest.fixture
def study(tmp_path: Path) -> Study:
    config = StudyConfig(trials=4, reduction=2)
    return open_study(f"sqlite:///{tmp_path}/s.db", "s", config, SPACE, "i", Source(), grace=2)


def made(proposal: Proposal) -> Job:
    return job(job_name(proposal.number), training__lr=proposal.values["lr"])


def test_completed_pruned_and_failed_jobs_are_told_apart(study: Study) -> None:
    jobs = StudyJobs(study, made)
    done, stopped, broken = (jobs.next() for _ in range(3))
    jobs.report(done, 2, 0.5)
    jobs.report(done, 4, 0.6)
    jobs.finish(done, RunResult("completed", {"miou": 0.6}))
    assert jobs.report(stopped, 2, 0.1) is True
    jobs.finish(stopped, RunResult("pruned", {"miou": 0.1}))
    jobs.finish(broken, RunResult("failed", {}, "loss term kd is not finite"))
    trials = study.trials_so_far()
    assert [t.state for t in trials] == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL]
    assert trials[0].value == 0.6
    assert trials[1].intermediate_values == {2: 0.1}
    assert trials[2].user_attrs[CAUSE] == "loss term kd is not finite"


def test_job_is_not_stopped_at_its_last_iteration(study: Study) -> None:
    jobs = StudyJobs(study, made)
    good = jobs.next()
    jobs.report(good, 4, 0.9)
    jobs.finish(good, RunResult("completed", {"miou": 0.9}))
    assert jobs.report(jobs.next(), 4, 0.1) is False


def test_not_a_number_stops_the_job(study: Study) -> None:
    jobs = StudyJobs(study, made)
    assert jobs.report(jobs.next(), 2, math.nan) is True


def test_impossible_combination_fails_with_its_reason_and_the_next_one_runs(study: Study) -> None:
    def refuses_the_first(proposal: Proposal) -> Job:
        if proposal.number == 0:
            raise UserError("s.yaml:3: groups 7 does not divide 512")
        return made(proposal)

    assert StudyJobs(study, refuses_the_first).next().name == "trial-0001"
    assert study.frozen(0).state == TrialState.FAIL
    assert study.frozen(0).user_attrs[CAUSE] == "s.yaml:3: groups 7 does not divide 512"


def test_study_of_impossible_combinations_ends(study: Study) -> None:
    def refuses(proposal: Proposal) -> Job:
        raise UserError("no")

    assert StudyJobs(study, refuses).next() is None
    assert len(study.trials_so_far()) == 4


def test_name_of_a_job_leads_back_to_its_trial() -> None:
    assert [job_number(job_name(number)) for number in (0, 7, 12345)] == [0, 7, 12345]


def test_second_driver_of_one_study_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    for folder in ("s", "other"):
        (tmp_path / folder).mkdir()
    with _only_driver(str(tmp_path / "s"), "s"):
        with (
            pytest.raises(UserError, match="study 's' is already being run"),
            _only_driver(str(tmp_path / "s"), "s"),
        ):
            pass
        with _only_driver(str(tmp_path / "other"), "other"):
            pass
    with _only_driver(str(tmp_path / "s"), "s"):
        pass
