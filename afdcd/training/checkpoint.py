"""A run's whole state in two plain files: tensors as safetensors, the rest as JSON.

Everything random is a function of (seed, iteration), so the iteration is all the position there
is. Loading executes nothing, and a file that was cut short or altered is refused.
"""

import hashlib
import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from afdcd.config import FrozenConfig, Source, UserError, validate
from afdcd.models.tensors import assign
from afdcd.text import first_line
from afdcd.training.resume import HEADER, TENSORS

# 2: momentum from the start, state that modules name themselves. 3: the run it belongs to
VERSION = 3


class Position(FrozenConfig):
    """How far a run is: finished iterations and the seconds they took, over all attempts.

    Attributes:
        curve: losses and learning rate by name since the last validation, where iterations have been
            trained that no validation has seen; None right after one.
    """

    iteration: int = 0
    seconds: float = 0.0
    curve: dict[str, list[float]] | None = None


class Header(FrozenConfig):
    """What `state.json` says of itself and of the tensors beside it."""

    version: int
    run: str  # the job's identity
    sha256: str
    position: Position


def save_checkpoint(
    folder: Path, run: str, step: nn.Module, slots: dict[str, Tensor], position: Position
) -> None:
    """Write `state.safetensors` and, last, `state.json` into `folder`.

    Args:
        run: the identity of the job.
        slots: what optimizers keep, by name (`optim.state_of`).
    """
    payload = save(_tensors(step, slots))
    digest = hashlib.sha256(payload).hexdigest()
    header = Header(version=VERSION, run=run, sha256=digest, position=position).plain()
    if position.curve is None:  # as before there was one
        del header["position"]["curve"]
    (folder / TENSORS).write_bytes(payload)
    (folder / HEADER).write_text(json.dumps(header))


def load_checkpoint(folder: Path, run: str, step: nn.Module, slots: dict[str, Tensor]) -> Position:
    """Restore `step` and `slots` in place and return how far the run was.

    Raises:
        UserError: written by another version, incomplete, altered, or of another run or network.
    """
    try:
        header = json.loads((folder / HEADER).read_text())
        payload = (folder / TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: no usable checkpoint ({first_line(error)}); delete it to start again"
        ) from None
    version = header.get("version") if isinstance(header, dict) else None
    if version != VERSION:
        raise UserError(
            f"{folder}: checkpoint version {version}, this is version {VERSION}; finish the run "
            "with the afdcd that started it, or delete the checkpoint"
        )
    checked = validate(Header, header, Source(f"{folder}/{HEADER}"))
    if checked.run != run:
        raise UserError(
            f"{folder}: checkpoint of another run ({checked.run[:12]}, this one is {run[:12]}): its "
            "setting, data, teacher or seed differ; delete it to start again"
        )
    if hashlib.sha256(payload).hexdigest() != checked.sha256:
        raise UserError(
            f"{folder}: checkpoint is damaged (sha256 differs); delete it to start again"
        )
    try:
        tensors = load(payload)
    except SafetensorError as error:
        raise UserError(
            f"{folder}: checkpoint is damaged ({first_line(error)}); delete it to start again"
        ) from None
    _restore(tensors, step, slots, folder)
    return checked.position


def _tensors(step: nn.Module, slots: dict[str, Tensor]) -> dict[str, Tensor]:
    state = {f"step.{name}": tensor for name, tensor in step.state_dict().items()} | slots
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _restore(
    tensors: dict[str, Tensor], step: nn.Module, slots: dict[str, Tensor], folder: Path
) -> None:
    weights = {k.removeprefix("step."): v for k, v in tensors.items() if k.startswith("step.")}
    assign(step, weights, folder)
    for name, slot in slots.items():
        if name not in tensors:
            raise UserError(
                f"{folder}: holds no {name}: of another optimizer; delete it to start again"
            )
        # In place: the fused step needs each slot laid out in memory as its parameter is.
        slot.copy_(tensors[name])
