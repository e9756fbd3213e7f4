"""A whole study: teachers, runs, the best students. Run again after any interruption, it goes on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import optuna

from afdcd import storage
from afdcd.config import UserError, validate
from afdcd.environment import ray_address, storage_root, study_database
from afdcd.search.alone import run_alone
from afdcd.search.claims import announced
from afdcd.search.cluster import Cluster, connect
from afdcd.search.conclude import Conclusion, conclude, so_far
from afdcd.search.gauges import Gauges, published, ray_metrics
from afdcd.search.housekeeping import Housekeeper, sweep
from afdcd.search.kept import DATA, Kept
from afdcd.search.ledger import add_measuring, note_other
from afdcd.search.load import SearchSpace, teacher_key
from afdcd.search.loop import Loop, Watcher
from afdcd.search.missing import bring_back
from afdcd.search.networks import check_shapes
from afdcd.search.open_study import check_frame, claim, open_study
from afdcd.search.open_study import connect as connect_study
from afdcd.search.prerequisites import Prerequisites
from afdcd.search.progress import Progress
from afdcd.search.proof import Prover
from afdcd.search.purse import purse_of
from afdcd.search.records import Recorder, run_records, sign_of, study_record
from afdcd.search.rows import RunKey
from afdcd.search.say import say
from afdcd.search.session import Session, session
from afdcd.search.settings import Proposal, Settings
from afdcd.search.study import Study
from afdcd.search.teachers import Teacher, Teachers
from afdcd.search.warm_start import take_over
from afdcd.search.wishes import any_of, introduce, stop_wanted
from afdcd.search.work_clock import working
from afdcd.tasks.score import Score
from afdcd.tracking.records import StudyRecord
from afdcd.training import journal, pulse
from afdcd.training.job import CHOICES, Job, Outcome, Report, RunResult
from afdcd.training.pulse import Attempt
from afdcd.training.resume import newest_iteration
from afdcd.training.trial import TrialConfig


def run_study(space: SearchSpace) -> Conclusion:
    """Run the study of a search space file to its end, or on from where it was.

    Raises:
        UserError: anything a person can mend; what has finished by then is kept.
    """
    folder = storage.join(storage_root(), "studies", space.name)
    with session(space, folder, "study") as here:
        up = space.measure.higher_is_better
        database = connect_study(
            study_database(), space.name, higher_is_better=up, lease=here.lease
        )
        claim(folder, database)
        check_frame(database, space.frame(here.digest), space.source.name)
        asked = space.study
        introduce(
            database, space.written, asked.runs, asked.budget, space.measure, asked.budget_per
        )
        if here.tracker.data:
            database.set_user_attr(DATA, here.tracker.data.to_dictionary())
        bring_back(Kept(database, folder), here.tracker, space.study.keep)
        say("starts or joins a Ray cluster")
        measured = partial(add_measuring, database)
        with working(database, here.lease.token) as clock, connect(measured) as cluster:
            cluster.capacity(space.examples[0].resources)  # refused before a teacher is paid for
            purse = purse_of(here, cluster, database)
            teachers = _teachers(here, cluster, database)
            ready = None if teachers is None else _prepared(here, cluster, teachers, database)
            if teachers is None or ready is None:
                return Conclusion()
            study = _open(here, database, teachers, ready)
            prover = Prover(study, space.study.proof.seeds)
            study.spending.allow(*purse, clock.hours)
            while _run(here, cluster, study):
                if plan := prover.ask():
                    say(f"proves {announced(plan)}")
                    continue
                conclusion = conclude(here, cluster, study, teachers, prover.proof())
                if not study.stirred():
                    return conclusion
                say("goes on: more was asked for while the best students were registered")
            return so_far(study)


def run_single(space: SearchSpace) -> tuple[Job, RunResult] | None:
    """Run the one configuration of a space without ranges; None if it was interrupted.

    Raises:
        UserError: anything a person can mend.
    """
    folder = storage.join(storage_root(), "runs", space.name)
    with session(space, folder, "run") as here:
        say("starts or joins a Ray cluster")
        with connect() as cluster:
            cluster.capacity(space.examples[0].resources)
            teachers = _teachers(here, cluster)
            ready = None if teachers is None else _prepared(here, cluster, teachers)
            if teachers is None or ready is None:
                return None
            return _run_one(here, cluster, teachers, ready)


def _teachers(
    here: Session, cluster: Cluster, database: optuna.Study | None = None
) -> dict[str, Teacher] | None:
    """The teacher of every pair by `teacher_key`, pinned in the study; None if interrupted."""
    makers = Teachers(here, cluster, database.user_attrs.get("teachers") if database else None)
    found: dict[str, Teacher] = {}
    for example in here.space.with_teachers():
        key = teacher_key(example)
        try:
            teacher = makers.prepare(key, example)
        finally:
            for name, hours in makers.cost.items() if database else ():
                note_other(database, name, hours)
        if teacher is None:
            return None
        found[key] = teacher
        if database:
            database.set_user_attr("teachers", {k: vars(pin) for k, pin in makers.pins.items()})
    for example in here.space.examples:
        known = found.get(teacher_key(example))
        check_shapes(example, here.space.source, known.card.model if known else None)
    return found


def _prepared(
    here: Session,
    cluster: Cluster,
    teachers: dict[str, Teacher],
    database: optuna.Study | None = None,
) -> Prerequisites | None:
    """What the methods need beside a teacher; None if interrupted."""
    ready = Prerequisites(here, cluster)
    for example in here.space.examples:
        teacher = teachers.get(teacher_key(example))
        try:
            done = teacher is None or ready.prepare(example, teacher)
        finally:
            for name, hours in ready.cost.items() if database else ():
                note_other(database, name, hours)
        if not done:
            return None
    return ready


def _open(
    here: Session, database: optuna.Study, teachers: dict[str, Teacher], ready: Prerequisites
) -> Study:
    space = here.space
    settings = _settings(here, teachers, ready)
    references = space.references()
    for line in take_over(database, space):
        say(line)
    study = open_study(
        database, settings, space.rules(), references, space.study.seed, space.source.name
    )
    if outside := study.outside():
        say(f"{outside} earlier runs lie outside the present search space and do not count")
    return study


def _settings(here: Session, teachers: dict[str, Teacher], ready: Prerequisites) -> Settings:
    """What the study needs to know of its configurations."""

    def config(values: dict[str, Any]) -> TrialConfig:
        checked = validate(TrialConfig, values)
        teacher = teachers.get(teacher_key(checked))
        check_shapes(checked, here.space.source, teacher.card.model if teacher else None)
        return checked

    def identity(config: TrialConfig) -> str:
        teacher = teachers.get(teacher_key(config))
        return config.fingerprint(here.digest, teacher.sha256 if teacher else None)

    def job(proposal: Proposal) -> Job:
        config, teacher = proposal.config, teachers.get(teacher_key(proposal.config))
        root = here.space.examples[0].data.root  # where it lies now, and who computes now
        resources = here.space.examples[0].resources
        return Job(
            name=proposal.run.name,
            title=proposal.run.title(config),
            config=config.updated(data=config.data.updated(root=root), resources=resources),
            folder=proposal.run.folder(here.folder),
            identity=proposal.identity,
            data_digest=here.digest,
            repeats=proposal.run.repeats,
            token=here.lease.token,
            inputs=ready.inputs_of(config, teacher),
            choices=storage.join(here.folder, CHOICES),
        )

    def reported(run: RunKey) -> list[Report]:
        try:
            return journal.read(run.folder(here.folder))
        except storage.StorageError:
            raise  # what it cannot say now it can say to the next driver
        except (UserError, OSError):  # MLflow's writer tells which file
            return []

    def attempts(run: RunKey) -> Sequence[Attempt]:
        return pulse.attempts(run.folder(here.folder))

    def checkpoint(run: RunKey) -> int:
        return newest_iteration(run.folder(here.folder))

    return Settings(here.space.space, config, identity, job, reported, attempts, checkpoint)


def _run(here: Session, cluster: Cluster, study: Study) -> bool:
    """All runs of the study; False if it was interrupted."""
    space = here.space

    def describe(outcome: Outcome | None) -> StudyRecord:
        return study_record(study.study, study.entries(), outcome)

    concurrency = cluster.capacity(space.examples[0].resources, space.study.max_concurrent)
    progress = Progress(
        _best(study), wanted=study.wanted, done=study.finished(), before=study.spent()
    )
    here.tracker.open_study(describe(None))
    told = here.tracker.told_of(study.id)
    untold = [e for e in study.entries() if sign_of(e) not in told]
    for record in run_records(study.id, untold, here.folder):
        # What an earlier driver could not write any more; a run that goes on is told when it starts.
        here.tracker.update(replace(record, outcome=record.outcome or "killed"))
    outcome: Outcome = "lost"
    housekeeper = Housekeeper()
    try:
        recorder = Recorder(here.tracker, study.id, describe)
        stop_wanted(study.study)  # what was asked of an earlier driver
        stop = any_of(partial(stop_wanted, study.study), here.tracker.stop_wanted)
        watchers: list[Watcher] = [recorder, progress, housekeeper]
        with _watched(study, progress) as more:
            loop = Loop(study, [*watchers, *more], cluster, here.lease, stop)
            finished = loop.run(here.folder, concurrency)
        outcome = "completed" if finished else "killed"
        return finished
    finally:
        progress.close()
        housekeeper.close()
        sweep(Kept(study.study, here.folder))
        known = here.tracker.known()
        ended = [entry for entry in study.entries() if entry.run.name in known]
        for record in run_records(study.id, ended, here.folder):
            here.tracker.settle(record)  # a run may have been paused before it was taken up
        here.tracker.close_study(describe(outcome))


@contextmanager
def _watched(study: Study, progress: Progress) -> Iterator[list[Gauges]]:
    """What tells Prometheus of the study, where there is a cluster that somebody may watch."""
    if ray_address() is None:
        yield []
        return
    best = _best(study)
    gauges = Gauges(lambda: progress.wanted, study.spent(), best[0] if best else None)
    with published(gauges.know(study.entries()), ray_metrics(study.name)):
        yield [gauges]


def _run_one(
    here: Session, cluster: Cluster, teachers: dict[str, Teacher], ready: Prerequisites
) -> tuple[Job, RunResult] | None:
    config = here.space.examples[0]
    settings = _settings(here, teachers, ready)
    identity = settings.identity(config)
    name, teacher = f"run-{identity[:12]}", teachers.get(teacher_key(config))
    job = Job(
        name=name,
        title=here.space.name,
        config=config,
        folder=storage.join(here.folder, name),
        identity=identity,
        data_digest=here.digest,
        token=here.lease.token,
        inputs=ready.inputs_of(config, teacher),
    )
    result = run_alone(job, here.tracker, cluster, here.lease)
    return (job, result) if result else None


def _best(study: Study) -> tuple[Score, str] | None:
    best = study.best()
    if not best or best[0].value is None:
        return None
    return study.rules.measure.score(best[0].value), f"trial {best[0].run}"
