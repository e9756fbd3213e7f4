"""A run's whole state in two plain files: tensors as safetensors, the rest as JSON.

Everything random is a function of (seed, iteration), so the iteration is all the position there
is. Loading executes nothing, and a file that was cut short or altered is refused.
"""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from afdcd.config import FrozenConfig, UserError, validate

VERSION = 1


class Position(FrozenConfig):
    """How far a run is: finished iterations and the seconds they took, over all attempts."""

    iteration: int = 0
    seconds: float = 0.0


def save_checkpoint(
    folder: Path, step: nn.Module, optimizer: torch.optim.Optimizer, position: Position
) -> None:
    """Write `state.safetensors` and, last, `state.json` into `folder`."""
    payload = save(_tensors(step, optimizer))
    header = {
        "version": VERSION,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "position": position.plain(),
    }
    (folder / "state.safetensors").write_bytes(payload)
    (folder / "state.json").write_text(json.dumps(header))


def load_checkpoint(folder: Path, step: nn.Module, optimizer: torch.optim.Optimizer) -> Position:
    """Restore `step` and `optimizer` in place and return how far the run was.

    Raises:
        UserError: written by another version, incomplete, altered, or of another network.
    """
    try:
        header = json.loads((folder / "state.json").read_text())
        payload = (folder / "state.safetensors").read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder}: no usable checkpoint ({error}); delete it to start again"
        ) from None
    if header["version"] != VERSION:
        raise UserError(
            f"{folder}: checkpoint version {header['version']}, this is version {VERSION}; "
            "finish the run with the afdcd that started it, or delete the checkpoint"
        )
    if hashlib.sha256(payload).hexdigest() != header["sha256"]:
        raise UserError(
            f"{folder}: checkpoint is damaged (sha256 differs); delete it to start again"
        )
    _restore(load(payload), step, optimizer, folder)
    return validate(Position, header["position"])


def _tensors(step: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = {f"step.{name}": tensor for name, tensor in step.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        momentum = slots.get("momentum_buffer")
        if momentum is not None:
            state[f"momentum.{index}"] = momentum
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def _restore(
    tensors: dict[str, Tensor], step: nn.Module, optimizer: torch.optim.Optimizer, folder: Path
) -> None:
    weights = {k.removeprefix("step."): v for k, v in tensors.items() if k.startswith("step.")}
    try:
        step.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{folder}: checkpoint is of another network: {error}") from None
    momenta = {k.removeprefix("momentum."): v for k, v in tensors.items() if k[0] == "m"}
    state = optimizer.state_dict()
    state["state"] = {int(index): {"momentum_buffer": value} for index, value in momenta.items()}
    optimizer.load_state_dict(state)
