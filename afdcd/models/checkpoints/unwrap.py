"""From what a training program saved to one state dict: wrappers come off one by one, each named."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from afdcd.config import UserError
from afdcd.models.checkpoints.choice import BESIDE, Choice, Unwrapped, Weights
from afdcd.models.checkpoints.prefixes import without_prefixes
from afdcd.text import printable

# Dicts of tensors that are no weights, by the words in their names.
NO_WEIGHTS = re.compile(r"optim|sched|scaler|callback|hyper|message_hub|^meta$|^loops$|^args$")
_DEEPEST = 8  # a dict in a file may hold itself


def unwrap(
    content: object, path: Path, *, weights: Weights | None = None, part: str | None = None
) -> Unwrapped:
    """The one state dict in what a checkpoint holds.

    Args:
        weights: which to take where raw weights and their running average are there; None: the average.
        part: which of several networks, by the name that it has in the file.

    Raises:
        UserError: no tensors, or several networks and no `part`.
    """
    choice = Choice(path, weights, part)
    taken = Unwrapped()
    inner = _inner_dict(content, choice, taken)
    tensors = {str(key): value for key, value in inner.items() if isinstance(value, Tensor)}
    taken.left_out += [str(key) for key in inner if str(key) not in tensors]
    if not tensors:
        raise UserError(f"{path}: holds no tensors by name; {_whole(content)}")
    taken.tensors = without_prefixes(tensors, choice, taken)
    if part is not None and not choice.part_found:
        raise UserError(f"{path}: has no part {part!r}; leave out --part, or correct it")
    if weights is not None and not taken.notes:
        raise UserError(f"{path}: holds one set of weights, not ema and raw; leave out --weights")
    return taken


def _whole(content: object) -> str:
    return f"what it holds is a {type(content).__name__}; save the network's state_dict()"


def _inner_dict(content: object, choice: Choice, taken: Unwrapped) -> Mapping:
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        inside = [key for key, value in content.items() if _is_network(key, value)]
        names = any(isinstance(value, Tensor) and "." in str(key) for key, value in content.items())
        if names or not inside:
            return content
        name = choice.among(inside, content, taken)
        taken.removed.append(repr(printable(name, 80)))
        taken.left_out += [str(key) for key in content if key != name]
        content = content[name]
    raise UserError(f"{choice.path}: holds no tensors by name; {_whole(content)}")


def _is_network(key: object, value: object) -> bool:
    return (
        isinstance(key, str)
        and not (NO_WEIGHTS.search(key) or BESIDE.fullmatch(key))
        and _holds_weights(value)
    )


def _holds_weights(value: object, depth: int = 3) -> bool:
    if not isinstance(value, Mapping) or "param_groups" in value or depth == 0:
        return False
    return any(
        (isinstance(key, str) and isinstance(inner, Tensor) and inner.dim() > 0)
        or _holds_weights(inner, depth - 1)
        for key, inner in value.items()
    )
