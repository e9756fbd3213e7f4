"""Teachers: trained once and registered, or given; measured before a single trial is paid for."""

import hashlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS
from afdcd.environment import storage_root
from afdcd.models.weights import NetworkCard, load_network, load_weights, save_network
from afdcd.search.cluster import Cluster
from afdcd.search.driver import Listener, OneJob, run_jobs
from afdcd.search.progress import say
from afdcd.search.score_networks import score_networks
from afdcd.tracking.registry import FINGERPRINT, Version, fetch, find, register
from afdcd.tracking.runs import Tracker
from afdcd.training.artifacts import STUDENT_FILE
from afdcd.training.job import Job
from afdcd.training.trial import TrialConfig

TOLERANCE = 0.005  # mIoU; other hardware and precision may cost this much, a wrong teacher more


@dataclass(frozen=True)
class Teacher:
    """A teacher ready to teach: where its weights are, its card, and what it really scores."""

    weights: str
    card: NetworkCard
    miou: float


class Teachers:
    """Finds, trains and measures the teachers of a study.

    Args:
        digest: of the prepared data set.
    """

    def __init__(
        self, tracker: Tracker, listeners: list[Listener], cluster: Cluster, digest: str
    ) -> None:
        self._tracker = tracker
        self._listeners = listeners
        self._cluster = cluster
        self._digest = digest

    def prepare(self, config: TrialConfig) -> Teacher | None:
        """The teacher of this trial; None if it was interrupted while being trained.

        Raises:
            UserError: unusable weights, other classes than the data set's, or a score below the
                recorded one.
        """
        teacher = config.pair.teacher
        assert teacher is not None
        if teacher.weights:
            origin = teacher.weights
            path, card = given_teacher(config)
        else:
            model = self._trained(config)
            if model is None:
                return None
            path, origin = fetch(model), model
            card = load_network(path)[1]
        weights = _stored(path, card)
        return self._gate(Teacher(weights, card, 0.0), config, origin)

    def _trained(self, config: TrialConfig) -> str | None:
        """The registered teacher of this configuration, trained now if there is none yet."""
        trial = config.teacher_trial()
        fingerprint = trial.fingerprint(self._digest)
        client = self._tracker.client
        found = find(client, fingerprint)
        if found:
            return found
        name = f"teacher-{fingerprint[:12]}"
        title = f"teacher {trial.pair.student.name}"
        folder = storage.join(storage_root(), "teachers", name)
        alone = trial.updated(resources=self._cluster.alone(trial.resources))
        job = Job(name=name, title=title, config=alone, folder=folder)
        source = OneJob(job)
        if not run_jobs(source, self._listeners, self._cluster, folder=folder, concurrency=1):
            return None
        if source.end is None or source.end.outcome != "completed":
            cause = source.end.cause if source.end else "it never started"
            raise UserError(f"{title}: training failed: {cause}")
        return self._register(job, fingerprint, source.end.result["miou"])

    def _register(self, job: Job, fingerprint: str, miou: float) -> str:
        version = Version(
            name=f"{job.config.data.dataset}-teacher-{job.config.pair.student.name}",
            run=self._tracker.run_of(job.name),
            tags={
                FINGERPRINT: fingerprint,
                "dataset": f"{job.config.data.dataset}/{job.config.data.protocol}",
                "miou": f"{miou:.4f}",
                "git_commit": self._tracker.commit,
            },
            description=f"Teacher {job.config.pair.student.name}, mIoU {100 * miou:.2f} % on "
            f"{job.config.data.protocol}/val after {job.config.training.iterations} iterations.",
            aliases=("newest",),
        )
        weights = storage.read_bytes(storage.join(job.folder, STUDENT_FILE))
        number = register(self._tracker.client, version, weights)
        return f"models:/{version.name}/{number}"

    def _gate(self, teacher: Teacher, config: TrialConfig, origin: str) -> Teacher:
        """Measure the teacher once per (weights, data, protocol); refuse one below its record."""
        protocol = config.data.protocol
        known = f"{teacher.weights}.{self._digest[:12]}-{protocol}.json"
        if storage.exists(known):
            miou = json.loads(storage.read_bytes(known))["miou"]
        else:
            miou = self._measured(teacher, config)
            storage.write_bytes(known, json.dumps({"miou": miou}).encode())
        recorded = teacher.card.miou
        same_split = teacher.card.split == f"{protocol}/val"
        if recorded is not None and same_split and miou < recorded - TOLERANCE:
            raise UserError(
                f"teacher {origin}: scores mIoU {100 * miou:.2f} % on {protocol}/val, recorded is "
                f"{100 * recorded:.2f} %; wrong data, normalisation or weights: nothing was started"
            )
        return Teacher(teacher.weights, teacher.card, miou)

    def _measured(self, teacher: Teacher, config: TrialConfig) -> float:
        say(f"scores the teacher {teacher.card.model.name} on {config.data.protocol}/val")
        found = score_networks(
            [teacher.weights], config.data, "val", self._cluster, config.resources
        )
        return found[0].miou


def given_teacher(config: TrialConfig) -> tuple[Path, NetworkCard]:
    """The local file and the card of a teacher that the config names by its weights.

    Raises:
        UserError: unusable weights, or other classes or normalisation than the trials'.
    """
    teacher = config.pair.teacher
    assert teacher is not None and teacher.weights is not None
    origin, path = teacher.weights, fetch(teacher.weights)
    card = _card_of(path, config)
    if card.classes != DATASETS[config.data.dataset].classes:
        raise UserError(
            f"teacher {origin}: knows {len(card.classes)} classes of {card.dataset!r}, the "
            f"data set is {config.data.dataset!r}; choose a teacher trained on it"
        )
    if card.normalisation != config.data.normalisation:
        raise UserError(
            f"teacher {origin}: was trained on {card.normalisation!r} images, the trials see "
            f"{config.data.normalisation!r} ones; set data.normalisation: {card.normalisation}"
        )
    return path, card


def _card_of(path: Path, config: TrialConfig) -> NetworkCard:
    """The file's own card, or one made from the configuration for bare weights."""
    teacher = config.pair.teacher
    assert teacher is not None
    if teacher.model is None:
        return load_network(path)[1]
    dataset = DATASETS[config.data.dataset]
    try:
        card = load_network(path)[1]
    except UserError:
        network = teacher.model.updated(pretrained=None).build(len(dataset.classes))
        load_weights(network, path)  # its error is the one to show
        return NetworkCard(
            model=teacher.model.updated(pretrained=None),
            dataset=dataset.name,
            classes=dataset.classes,
            palette=dataset.palette,
            normalisation=config.data.normalisation,
        )
    if card.model != teacher.model.updated(pretrained=None):
        raise UserError(
            f"teacher {path}: holds {card.model.name}, the config says {teacher.model.name}; "
            "leave out pair.teacher.model or correct it"
        )
    return card


def _stored(path: Path, card: NetworkCard) -> str:
    """A copy of the weights, card inside, where every node of the cluster can read it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    uri = storage.join(storage_root(), "teachers", f"{digest[:16]}.safetensors")
    if not storage.exists(uri):
        network = card.model.build(len(card.classes))
        load_weights(network, path)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "teacher.safetensors"
            save_network(copy, network, card)
            storage.write_bytes(uri, copy.read_bytes())
    return uri
