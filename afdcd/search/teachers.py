"""Teachers: trained once and registered, or given; measured before a single run is paid for."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException

from afdcd import storage
from afdcd.config import UserError, validate
from afdcd.environment import storage_root
from afdcd.models.weights import NetworkCard, has_card, load_weights, save_network
from afdcd.search.cluster import Cluster
from afdcd.search.given_teacher import given_teacher
from afdcd.search.say import say
from afdcd.search.score_networks import score_networks
from afdcd.search.session import Session
from afdcd.search.trained_once import TrainedOnce
from afdcd.tasks.names import of_task, task_named
from afdcd.tasks.score import Score
from afdcd.text import shown
from afdcd.training.artifacts import load_from
from afdcd.training.trial import TrialConfig

TOLERANCE = (
    0.005  # of the score; other hardware and precision may cost this much, a wrong teacher more
)


@dataclass(frozen=True)
class Teacher:
    """A teacher ready to teach: where its weights are, its card, and what it really scores."""

    weights: str
    card: NetworkCard
    score: Score
    sha256: str


@dataclass(frozen=True)
class Pin:
    """What a teacher was when the study began; it stays so to the study's end."""

    model: str  # a file, or models:/name/version
    sha256: str


class Teachers:
    """Finds, trains and measures the teachers of a study.

    Args:
        pins: what earlier drivers of the study resolved, by `teacher_key`.
    """

    def __init__(
        self, session: Session, cluster: Cluster, pins: dict[str, dict[str, str]] | None = None
    ) -> None:
        self._tracker, self._digest = session.tracker, session.digest
        self._cluster, self._once = cluster, TrainedOnce(session, cluster, "teacher")
        self.pins = {key: Pin(**pin) for key, pin in (pins or {}).items()}

    @property
    def cost(self) -> dict[str, float]:
        """Device-hours of those that were trained here, by name."""
        return self._once.cost

    def is_there(self, key: str, config: TrialConfig) -> bool:
        """Whether the teacher of this trial need not be trained any more."""
        teacher = config.pair.teacher
        if key in self.pins or not (teacher and teacher.train):
            return True
        fingerprint = config.teacher_trial().fingerprint(self._digest)
        return self._once.known(fingerprint) is not None

    def prepare(self, key: str, config: TrialConfig) -> Teacher | None:
        """The teacher of this trial; None if it was interrupted while being trained.

        Raises:
            UserError: unusable weights, other classes than the data set's, other weights than the
                study began with, or a score below the recorded one.
        """
        if (pin := self.pins.get(key)) and (kept := _kept_copy(pin, config)):
            return self._kept(pin, kept, config)
        model = self._resolved(key, config)
        if model is None:
            return None
        path, card = given_teacher(config, model)
        sha256 = storage.sha256(str(path))
        self._hold(key, Pin(model, sha256))
        own = has_card(path)
        weights = _stored(path, card, _copy(sha256) if own else _copy(sha256, config))
        return self._gate(weights, card, sha256, config, model)

    def _kept(self, pin: Pin, weights: str, config: TrialConfig) -> Teacher:
        """The copy that the study has been learning from, wherever its origin is now."""
        origin = Path(pin.model)
        if "://" not in pin.model and origin.is_file():
            _same(pin, Pin(pin.model, storage.sha256(pin.model)))
        return self._gate(weights, load_from(weights)[1], pin.sha256, config, pin.model)

    def _resolved(self, key: str, config: TrialConfig) -> str | None:
        """The file or registered version: as pinned, as given, or trained now."""
        teacher = config.pair.teacher
        assert teacher is not None
        if key in self.pins:
            return self.pins[key].model
        return self._version(teacher.weights) if teacher.weights else self._trained(config)

    def _version(self, weights: str) -> str:
        """An alias may move while the study runs, a version's number does not."""
        name, at, alias = weights.removeprefix("models:/").partition("@")
        if not at or not weights.startswith("models:/"):
            return weights
        try:
            number = self._tracker.client.get_model_version_by_alias(name, alias).version
        except (MlflowException, OSError):
            return weights  # fetching it says what is wrong
        return f"models:/{name}/{number}"

    def _hold(self, key: str, found: Pin) -> None:
        _same(self.pins.setdefault(key, found), found)

    def _trained(self, config: TrialConfig) -> str | None:
        """The registered teacher of this configuration, trained now if there is none yet."""
        trial = config.teacher_trial()
        return self._once.version(trial, trial.fingerprint(self._digest), trial.pair.student.name)

    def _gate(
        self, weights: str, card: NetworkCard, sha256: str, config: TrialConfig, origin: str
    ) -> Teacher:
        """Measure the teacher once per (weights, data, protocol); refuse one below its record."""
        split = f"{config.data.protocol}/val"
        # As the copy's, for they depend on the same.
        begins = sha256[:16] if weights == _copy(sha256) else _name(sha256, config)
        name = f"{begins}.{self._digest[:12]}-{config.data.protocol}.score.json"
        known = storage.join(storage_root(), "teachers", name)
        score = _once(known, lambda: self._measured(weights, card, config))
        noted = task_named(card.task).recorded(card) if card.split == split else None
        lost = (noted.value - score.value) * (1 if score.higher_is_better else -1) if noted else 0
        if lost > TOLERANCE:
            raise UserError(
                f"teacher {shown(origin)}: scores {score} on {split}, recorded is {noted}; wrong data, "
                "normalisation or weights: nothing was started"
            )
        return Teacher(weights, card, score, sha256)

    def _measured(self, weights: str, card: NetworkCard, config: TrialConfig) -> Score:
        say(f"scores the teacher {card.model.name} on {config.data.protocol}/val")
        data = config.data
        return score_networks([weights], data, "val", self._cluster, config.resources)[0]


def _same(known: Pin, found: Pin) -> None:
    if known.sha256 != found.sha256:
        raise UserError(
            f"teacher {shown(found.model)}: its weights have changed since the study began (sha256 "
            f"{known.sha256[:12]}, now {found.sha256[:12]}); put them back, or give this study "
            "its own name: study.name=..."
        )


def _once(place: str, measure: Callable[[], Score]) -> Score:
    """What was measured before, or is measured now and kept."""
    if storage.exists(place):
        try:
            return validate(Score, json.loads(storage.read_bytes(place)))
        except (ValueError, UserError):
            say(f"{place} is damaged: measured again")
    score = measure()
    storage.write_bytes(place, json.dumps(score.plain()).encode())
    return score


def _copy(sha256: str, taken_for: TrialConfig | None = None) -> str:
    """Where the copy of these weights lies, card inside, for every node of the cluster to read.

    Args:
        taken_for: the settings that say of bare weights what a card would: their normalisation and
            task. Other settings take the same weights for something else.
    """
    name = _name(sha256, taken_for) if taken_for else sha256[:16]
    return storage.join(storage_root(), "teachers", f"{name}.safetensors")


def _name(sha256: str, taken_for: TrialConfig) -> str:
    return f"{sha256[:16]}-{taken_for.data.normalisation}{of_task(taken_for.task)}"


def _kept_copy(pin: Pin, config: TrialConfig) -> str | None:
    """The copy of a pinned teacher for these settings, if there is one."""
    bare, own = _copy(pin.sha256, config), _copy(pin.sha256)
    if storage.exists(bare):
        return bare
    origin = Path(pin.model)
    if "://" not in pin.model and origin.is_file() and not has_card(origin):
        return None  # an earlier edition kept one copy of bare weights for all settings
    return own if storage.exists(own) else None


def _stored(path: Path, card: NetworkCard, uri: str) -> str:
    """A copy of the weights, card inside, where every node of the cluster can read it."""
    if not storage.exists(uri):
        network = card.model.build(len(card.classes))
        load_weights(network, path)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "teacher.safetensors"
            save_network(copy, network, card)
            storage.write_bytes(uri, copy.read_bytes())
    return uri
