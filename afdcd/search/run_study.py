"""A whole study: teachers, trials, winners. Run again after any interruption, it goes on."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from afdcd import storage
from afdcd.config import UserError, validate
from afdcd.data.shards.manifest import read_manifest
from afdcd.data.train.loader import prepared_root
from afdcd.environment import storage_root, study_database
from afdcd.search.cluster import Cluster, connect
from afdcd.search.driver import Listener, OneJob, run_jobs
from afdcd.search.load import SearchSpace, teacher_key
from afdcd.search.networks import check_shapes
from afdcd.search.preflight import check_data, check_weights, check_writable
from afdcd.search.progress import Progress, Rendering, say
from afdcd.search.score_networks import Score
from afdcd.search.study import Proposal, Study, open_study
from afdcd.search.teachers import Teacher, Teachers
from afdcd.search.winners import Candidate, register_best, save_pictures
from afdcd.tracking.datasets import dataset_input
from afdcd.tracking.runs import Tracker
from afdcd.tracking.server import check_database
from afdcd.training.job import Job, RunResult
from afdcd.training.trial import TrialConfig

OUTCOMES = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
PICTURES = "pictures"  # of the study's folder: test images to try a student on


@dataclass
class Report:
    """What a study came to. `trials` is empty if it was interrupted before its first trial."""

    finished: bool = False
    trials: list[FrozenTrial] = field(default_factory=list)
    teachers: list[Teacher] = field(default_factory=list)
    winners: list[Candidate] = field(default_factory=list)
    scores: list[Score | None] = field(default_factory=list)


def run_study(space: SearchSpace) -> Report:
    """Run the study of a search space file to its end, or on from where it was.

    Raises:
        UserError: anything a person can mend; what has finished by then is kept.
    """
    folder = storage.join(storage_root(), "studies", space.name)
    check_writable(folder)
    check_database(study_database(), "AFDCD_STUDY_DB")
    with _ready(space, folder) as conductor:
        return conductor.run_study()


def run_single(space: SearchSpace) -> tuple[Job, RunResult] | None:
    """Run the one configuration of a space without ranges; None if it was interrupted.

    Raises:
        UserError: anything a person can mend.
    """
    folder = storage.join(storage_root(), "runs", space.name)
    with _ready(space, folder) as conductor:
        return conductor.run_single()


@contextmanager
def _ready(space: SearchSpace, folder: str) -> Iterator["_Conductor"]:
    """All that can fail early does so here, the cheapest first: lock, MLflow, data, cluster."""
    check_writable(folder)
    with _only_driver(folder, space.name):
        tracker = Tracker()
        data = space.examples[0].data
        root = prepared_root(data, storage.join(storage_root(), "data"), Rendering())
        manifest = read_manifest(root, data.dataset)
        tracker.data = dataset_input(root, manifest, data.protocol)
        check_data(space, root, manifest)
        check_weights(space)
        say("starts or joins a Ray cluster")
        with connect() as cluster:
            yield _Conductor(space.rooted(root), folder, manifest.digest, tracker, cluster)


class _Conductor:
    def __init__(
        self, space: SearchSpace, folder: str, digest: str, tracker: Tracker, cluster: Cluster
    ) -> None:
        self.space = space
        self.folder = folder
        self.digest = digest
        self.tracker = tracker
        self.cluster = cluster
        self.teachers: dict[str, Teacher] = {}
        self.capacity = min(cluster.capacity(example.resources) for example in space.examples)

    def run_study(self) -> Report:
        study = self._open_study()
        if not self._prepare_teachers():
            return Report()
        self._open_runs(study)
        status = "KILLED"
        try:
            done = self._run_trials(study)
            report = self._conclude(study) if done else Report(trials=study.trials_so_far())
            status = "FINISHED" if done else "KILLED"
            return report
        finally:
            self.tracker.close_study(status)

    def run_single(self) -> tuple[Job, RunResult] | None:
        config = self.space.examples[0]
        if not self._prepare_teachers():
            return None
        name = f"run-{config.fingerprint(self.digest)[:12]}"
        job = self._job(config, name, self.space.name, storage.join(self.folder, name))
        source = OneJob(job)
        listeners: list[Listener] = [self.tracker, Progress()]
        run_jobs(source, listeners, self.cluster, folder=job.folder, concurrency=1)
        return (job, source.end) if source.end else None

    def _run_trials(self, study: Study) -> bool:
        best = [(trial.value, _title(trial.number)) for trial in study.best()]
        listeners: list[Listener] = [self.tracker, Progress(*best)]
        wanted = self.space.study.max_concurrent or self.capacity
        return run_jobs(
            StudyJobs(study, self._trial_job),
            listeners,
            self.cluster,
            folder=self.folder,
            concurrency=min(self.capacity, wanted),
        )

    def _prepare_teachers(self) -> bool:
        """False if interrupted."""
        makers = Teachers(self.tracker, [self.tracker, Progress()], self.cluster, self.digest)
        for example in self.space.with_teachers():
            teacher = makers.prepare(example)
            if teacher is None:
                return False
            self.teachers[teacher_key(example)] = teacher
        for example in self.space.examples:
            known = self.teachers.get(teacher_key(example))
            check_shapes(example, self.space.source, known.card.model if known else None)
        return True

    def _open_study(self) -> Study:
        example = self.space.examples[0].training
        return open_study(
            study_database(),
            self.space.name,
            self.space.study,
            self.space.space,
            self.space.identity(self.digest),
            self.space.source,
            grace=self.space.study.grace or example.validate_every,
        )

    def _open_runs(self, study: Study) -> None:
        outcomes = {
            job_name(trial.number): OUTCOMES[trial.state]
            for trial in study.trials_so_far()
            if trial.state in OUTCOMES
        }
        data = self.space.examples[0].data
        tags = {"dataset": f"{data.dataset}/{data.protocol}", "data_digest": self.digest}
        self.tracker.open_study(self.space.name, tags, outcomes)

    def _trial_job(self, proposal: Proposal) -> Job:
        """The job of a proposed trial.

        Raises:
            UserError: the sampled values do not make a valid trial together.
        """
        config = validate(TrialConfig, proposal.values)
        number = proposal.number
        title = f"{_title(number)} {config.distiller.method}"
        return self._job(config, job_name(number), title, self._trial_folder(number))

    def _job(self, config: TrialConfig, name: str, title: str, folder: str) -> Job:
        teacher = self.teachers.get(teacher_key(config))
        check_shapes(config, self.space.source, teacher.card.model if teacher else None)
        weights = teacher.weights if teacher else None
        return Job(name=name, title=title, config=config, folder=folder, teacher=weights)

    def _trial_folder(self, number: int) -> str:
        return storage.join(self.folder, "trials", f"{number:04d}")

    def _conclude(self, study: Study) -> Report:
        if not self.tracker.flush():
            raise UserError(
                "MLflow does not answer, so the best students are not registered yet; all trials "
                "are kept: start the server and run the same command again"
            )
        winners = [self._candidate(study, t) for t in study.best(self.space.study.keep)]
        data = self.space.examples[0].data
        scores = register_best(self.space.name, winners, self.tracker, self.cluster, data)
        save_pictures(storage.join(self.folder, PICTURES), data)
        teachers = list(self.teachers.values())
        return Report(True, study.trials_so_far(), teachers, winners, scores)

    def _candidate(self, study: Study, trial: FrozenTrial) -> Candidate:
        config = validate(TrialConfig, study.values_of(trial))
        run = self.tracker.run_of(job_name(trial.number))
        teacher = self.teachers.get(teacher_key(config))
        return Candidate(trial, config, self._trial_folder(trial.number), run, teacher)


class StudyJobs:
    """A study as the driver's source of jobs."""

    def __init__(self, study: Study, make_job: Callable[[Proposal], Job]) -> None:
        self._study = study
        self._make_job = make_job

    def next(self) -> Job | None:
        while proposal := self._study.next():
            try:
                return self._make_job(proposal)
            except UserError as error:  # this combination only; the others are worth running
                self._study.fail(proposal.number, str(error))
        return None

    def report(self, job: Job, iteration: int, miou: float) -> bool:
        last = iteration == job.config.training.iterations
        return self._study.report(job_number(job.name), iteration, miou, last=last)

    def finish(self, job: Job, end: RunResult) -> None:
        number = job_number(job.name)
        if end.outcome == "completed":
            self._study.complete(number, end.result["miou"])
        elif end.outcome == "pruned":
            self._study.prune(number)
        else:
            self._study.fail(number, end.cause)


def _title(number: int) -> str:
    return f"trial {number}"


def job_name(number: int) -> str:
    return f"trial-{number:04d}"


def job_number(name: str) -> int:
    return int(name.removeprefix("trial-"))


@contextmanager
def _only_driver(folder: str, name: str) -> Iterator[None]:
    """Two drivers of one study would run its trials twice; a file lock dies with its holder."""
    if "://" in folder:
        yield
        return
    with (Path(folder) / "driver.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"study {name!r} is already being run by another process; wait for it, stop it, or "
                "give this one its own name: study.name=..."
            ) from None
        yield
