"""Both sides of the rivals' benchmark compute the same, in value and gradient."""

import pytest
import torch

from benchmarks.rivals import maps, terms

NAMES = (
    "skd pair",
    "ifvd",
    "cwd features",
    "cwd logits",
    "cirkd mini-batch",
    "cirkd memory",
    "maskd",
)


def test_every_rival_is_compared() -> None:
    given = maps(1, (2, 4), (4, 6), torch.device("cpu"))
    assert tuple(terms(given)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_ours_and_the_official_formulation_agree(name: str) -> None:
    ours, official, wanted = terms(maps(2, (24, 48), (6, 9), torch.device("cpu")))[name]
    values = ours(), official()
    torch.testing.assert_close(values[0], values[1], rtol=1e-5, atol=1e-7)
    gradients = [torch.autograd.grad(value, wanted)[0] for value in values]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)
