"""A teacher that somebody has: its file, and whether it can teach these trials."""

from pathlib import Path

from afdcd.config import UserError
from afdcd.models.weights import NetworkCard, load_network, load_weights
from afdcd.tasks.names import task_named
from afdcd.tasks.normalisation import known
from afdcd.text import shown
from afdcd.tracking.registry import fetch
from afdcd.training.trial import TrialConfig


def given_teacher(config: TrialConfig, model: str | None = None) -> tuple[Path, NetworkCard]:
    """The local file and the card of a teacher.

    Args:
        model: where its weights are; default: what the configuration says.

    Raises:
        UserError: unusable weights, other classes than the trials', or an unknown normalisation.
    """
    teacher = config.pair.teacher
    assert teacher is not None
    origin = model or teacher.weights
    assert origin is not None
    path = fetch(origin)
    card = load_network(path)[1] if teacher.train else _card_of(path, config)
    wanted = task_named(config.task).blank_card(card.model, config.data)
    if card.task != config.task:
        raise UserError(
            f"teacher {shown(origin)}: its task is {card.task}, the trials' is {config.task}; choose "
            "another teacher, or set task"
        )
    if card.classes != wanted.classes:
        raise UserError(
            f"teacher {shown(origin)}: knows {len(card.classes)} classes of {card.dataset!r}, the "
            f"data set is {config.data.dataset!r}; choose a teacher trained on it"
        )
    known(card.normalisation, f"teacher {shown(origin)}")
    return path, card


def _card_of(path: Path, config: TrialConfig) -> NetworkCard:
    """The file's own card, or one made from the configuration for bare weights."""
    teacher = config.pair.teacher
    assert teacher is not None
    if teacher.model is None:
        return load_network(path)[1]
    blank = task_named(config.task).blank_card(teacher.model, config.data)
    try:
        card = load_network(path)[1]
    except UserError:
        network = blank.model.build(len(blank.classes))
        load_weights(network, path)  # its error is the one to show
        return blank
    if card.model != blank.model:
        raise UserError(
            f"teacher {path}: holds {card.model.name}, the config says {teacher.model.name}; "
            "leave out pair.teacher.model or correct it"
        )
    return card
