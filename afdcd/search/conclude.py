"""What a study came to: its best students scored on the test split and registered, and a table."""

import json
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from afdcd import storage
from afdcd.config import UserError
from afdcd.search.candidates import Candidate, Ran
from afdcd.search.cluster import Cluster
from afdcd.search.load import teacher_key
from afdcd.search.proof import CHAMPION, Proof
from afdcd.search.records import CHOSEN, study_record
from afdcd.search.rows import Entry, RunKey
from afdcd.search.session import Session
from afdcd.search.settings import Proposal
from afdcd.search.study import Study
from afdcd.search.teachers import Teacher
from afdcd.search.trials_table import Row
from afdcd.search.winners import Registered, register_best, save_pictures
from afdcd.tasks.score import Measure, Score
from afdcd.training.artifacts import trouble_with

PICTURES = "pictures"  # of the study's folder: test images to try a student on


@dataclass
class Conclusion:
    """What a study came to. Nothing is registered if it was interrupted."""

    finished: bool = False
    rows: list[Row] = field(default_factory=list)
    teachers: list[Teacher] = field(default_factory=list)
    winners: list[Candidate] = field(default_factory=list)
    registered: Registered | None = None
    proof: Proof | None = None
    notes: list[str] = field(default_factory=list)
    pages: tuple[str, str, str] = ("", "", "")  # MLflow: experiment, study, run of the best


def conclude(
    here: Session,
    cluster: Cluster,
    study: Study,
    teachers: dict[str, Teacher],
    proof: Proof | None,
) -> Conclusion:
    """Score the best students on the test split and register them."""
    if not here.tracker.deliver():
        raise UserError(
            f"the best students are not registered yet, for MLflow cannot be written: "
            f"{here.tracker.trouble or 'it does not answer'}; all runs are kept: run the same "
            "command again when that is mended"
        )
    data = here.space.examples[0].data
    winners, unfit = _winners(here, study, teachers, proof)
    study.study.set_user_attr(CHOSEN, [winner.number for winner in winners])
    record = study_record(study.study, study.entries(), "completed")
    model, plain = here.space.study.model, _plain_students(study)
    anyway = here.space.study.champion_anyway
    registered = register_best(
        record, model, winners, plain, here.tracker, cluster, data, champion_anyway=anyway
    )
    # Once more, for measuring costs device-hours too.
    here.tracker.close_study(study_record(study.study, study.entries(), "completed"))
    save_pictures(storage.join(here.folder, PICTURES), data)
    conclusion = so_far(study)
    conclusion.finished, conclusion.teachers = True, list(teachers.values())
    conclusion.proof = proof
    conclusion.winners, conclusion.registered = winners, registered
    conclusion.notes += [*unfit, *(proof.unmet if proof else []), *registered.notes]
    best_run = winners[0].ran.run if winners else ""
    conclusion.pages = (here.tracker.experiment, study.id, best_run)
    return conclusion


def _winners(
    here: Session, study: Study, teachers: dict[str, Teacher], proof: Proof | None
) -> tuple[list[Candidate], list[str]]:
    """The best students whose weights are there and their own; and why others are not among them."""
    found: list[Candidate] = []
    notes: list[str] = []

    def take(candidate: Candidate) -> bool:
        trouble = trouble_with(candidate.ran.weights, candidate.identity)
        if trouble:
            notes.append(f"{candidate.title} is not registered: {trouble}")
        else:
            found.append(candidate)
        return not trouble

    # Of what is proven the first seed, which was fixed before anything of it ran.
    for entry in proof.runs[CHAMPION].values() if proof else ():
        if take(_candidate(here, study, entry, teachers, proof)):
            break
    for entry in study.best(study.counted()):
        if len(found) == here.space.study.keep:
            break
        if proof is None or entry.first != proof.plan.trial:
            take(_candidate(here, study, entry, teachers, None))
    return found, notes


def so_far(study: Study) -> Conclusion:
    unmet = [e for e in study.entries() if e.is_reference and e.outcome in ("infeasible", "lost")]
    notes = [f"reference {json.dumps(e.reference)} did not complete: {e.cause}" for e in unmet]
    if study.spending.short:
        notes.append(f"the study ended for its budget: {study.spending.short}")
    unpaid = [e for e in study.everything() if e.state == TrialState.WAITING and e.is_reference]
    notes += [
        f"reference {json.dumps(e.reference)} was not run: the trials are spent; raise study.trials"
        for e in unpaid
    ]
    return Conclusion(
        rows=[_row(entry, study.rules.measure) for entry in study.entries()], notes=notes
    )


def _row(entry: Entry, measure: Measure) -> Row:
    value = entry.value if entry.value is not None else entry.curve.get(entry.reached)
    score = None if value is None else measure.score(value)
    outcome = entry.outcome or "running"
    return Row(
        entry.run, score, outcome, entry.reached, entry.searched, entry.cause, entry.device_hours
    )


def _candidate(
    here: Session,
    study: Study,
    entry: Entry,
    teachers: dict[str, Teacher],
    proof: Proof | None,
) -> Candidate:
    config = study.config_of(entry)
    assert config is not None and entry.value is not None
    job = study.settings.job(Proposal(entry.run, config, entry.identity or ""))
    others = proof.runs[CHAMPION].values() if proof else ()
    return Candidate(
        number=entry.run.trial,
        title=job.title,
        config=job.config,
        identity=job.identity,
        ran=_ran(here, study, entry),
        score=study.rules.measure.score(entry.value),
        settings=_searched(study, entry),
        seeds=_further(study, entry.run.trial),
        teacher=teachers.get(teacher_key(config)),
        proof=proof,
        others=tuple(_ran(here, study, one) for one in others if one.number != entry.number),
    )


def _ran(here: Session, study: Study, entry: Entry) -> Ran:
    config = study.config_of(entry)
    assert config is not None
    run = here.tracker.run_of(entry.run.name, study.id)
    return Ran(config.training.seed, entry.run.folder(here.folder), run)


def _searched(study: Study, entry: Entry) -> dict[str, Any]:
    """The searched values of a run's trial, whichever of its seeds it is."""
    first = next((e for e in study.entries() if e.run == RunKey(entry.run.trial)), entry)
    return first.searched


def _further(study: Study, trial: int) -> dict[int, Score]:
    """What the trial's further runs scored, by their seeds."""
    done = [e for e in study.entries() if e.repeats == trial and e.outcome == "completed"]
    return {
        e.seed: study.rules.measure.score(e.value)
        for e in done
        if e.seed is not None and e.value is not None
    }


def _plain_students(study: Study) -> dict[str, Score]:
    """The best score of each student that completed without a teacher, by the student's name."""
    found: dict[str, Score] = {}
    for entry in reversed(study.best(study.counted())):
        config = study.config_of(entry)
        if config and not config.distiller.DISTILS and entry.value is not None:
            found[config.pair.student.name] = study.rules.measure.score(entry.value)
    return found
