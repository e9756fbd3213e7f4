"""A device that is not there is the person's mistake, said in one line."""

import pytest
import torch

from afdcd.config import UserError
from afdcd.tasks.device import choose_device


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
