"""A device that is not there is the person's mistake, said in one line."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from afdcd.config import UserError
from afdcd.tasks.device import choose_device, ran_out_of_memory


def test_takes_the_named_device() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def test_takes_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for available, expected in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda available=available: available)
        assert choose_device(None).type == expected


@pytest.mark.parametrize("name", ["gpu", "cuda:99"])
def test_names_the_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match=f"--device {name}: .*use cpu, cuda") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def _gpu() -> None:
    raise torch.OutOfMemoryError("tried to allocate 900 GiB")


@pytest.mark.parametrize("ask", [_gpu, lambda: torch.empty(2**52), lambda: np.empty(2**52)])
def test_too_little_memory_is_known_on_every_device(ask: Callable[[], object]) -> None:
    """What the allocators of this very PyTorch and NumPy raise."""
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        ask()
    assert ran_out_of_memory(caught.value)


def test_other_errors_are_not_taken_for_it() -> None:
    assert not ran_out_of_memory(RuntimeError("expected 3 channels, found 4"))
    assert not ran_out_of_memory(ValueError("can't allocate memory"))
