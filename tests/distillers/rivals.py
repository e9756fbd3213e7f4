"""What the tests of the rival methods share: outputs of given maps, and comparison with golden numbers."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from afdcd.distillers.configs import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output
from afdcd.models.taps import Tap
from tests.golden import rivals

CLOSE = {"rtol": 1e-9, "atol": 1e-13}
NAMES = {
    "layers.0": "preprocess_additional",
    "layers.1": "l1.0.module",
    "layers.3": "l2.0.module",
    "layers.5": "l3.0.module",
    "layers.7": "attn1",
    "layers.8": "l4.0.module",
    "layers.10": "attn2",
    "layers.11": "last.0",
}  # of a discriminator's layers: ours, and winycg/CIRKD's


@dataclass(frozen=True)
class Drawn(StepContext):
    """A step whose draws were made by somebody else."""

    maps: dict[str, Tensor] = field(default_factory=dict)
    orders: dict[str, Tensor] = field(default_factory=dict)

    def uniform(self, name: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
        assert self.maps[name].shape == shape
        return self.maps[name]

    def permutation(self, name: str, length: int, device: torch.device) -> Tensor:
        assert len(self.orders[name]) == length
        return self.orders[name]


def output(logits: Tensor, head: Tensor | None = None, aux: Tensor | None = None) -> Output:
    return Output(logits, aux, {} if head is None else {"head": head})


def pair(classes: int, student: int = 1, teacher: int = 1) -> PairShapes:
    """Heads of so many channels."""
    return PairShapes(
        {
            "head": (Tap(student, 8), Tap(teacher, 8)),
            "logits": (Tap(classes, 8),) * 2,
            "aux": (Tap(classes, 8),) * 2,
        },
        classes,
    )


def agrees(value: Tensor, inputs: dict[str, Tensor], case: str, key: str = "loss") -> None:
    """Value, and its gradient in each input, are those on record."""
    expected = rivals(case)
    torch.testing.assert_close(value, expected[key], **CLOSE)
    found = torch.autograd.grad(value, list(inputs.values()), retain_graph=True)
    for name, gradient in zip(inputs, found, strict=True):
        torch.testing.assert_close(gradient, expected[name], **CLOSE, msg=name)


def discriminator_state(case: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """A state on record, under our names."""
    theirs = {key.removeprefix(prefix): v for key, v in case.items() if key.startswith(prefix)}
    return {ours: theirs[name] for ours, name in names_of(theirs).items()}


def names_of(theirs: dict[str, Tensor]) -> dict[str, str]:
    """Our name of each of theirs."""
    found = {}
    for name in theirs:
        for ours, start in NAMES.items():
            if name.startswith(f"{start}."):
                rest = name.removeprefix(f"{start}.").replace("_conv", "")
                rest = {"weight_bar": "weight", "weight_u": "u", "weight_v": "v"}.get(rest, rest)
                found[f"{ours}.{rest}"] = name
    assert len(found) == len(theirs)
    return found
