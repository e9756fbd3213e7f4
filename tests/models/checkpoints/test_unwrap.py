"""Wrappers: the weights come out whole, and what was done is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from afdcd.config import UserError
from afdcd.models.checkpoints.unwrap import unwrap
from tests.models.checkpoints.saved import optimizer, prefixed, same, zeros

FILE = Path("t.pth")
NET = {"conv.weight": torch.rand(2, 3), "head.model.bias": torch.rand(2), "bn.n": torch.tensor(3)}
WRAPPERS: dict[str, tuple[Callable[[], Any], list[str], list[str]]] = {
    "bare": (lambda: NET, [], []),
    "DDP": (lambda: prefixed("module.", NET), ["prefix 'module.'"], []),
    "compiled": (lambda: prefixed("_orig_mod.", NET), ["prefix '_orig_mod.'"], []),
    "both": (
        lambda: prefixed("module._orig_mod.", NET),
        ["prefix 'module.'", "prefix '_orig_mod.'"],
        [],
    ),
    "a dict": (
        lambda: {"epoch": 3, "model": NET, "optimizer": optimizer(), "best": torch.tensor(0.5)},
        ["'model'"],
        ["epoch", "optimizer", "best"],
    ),
    "a name that nobody knows": (
        lambda: {
            "ours": NET,
            "adam": optimizer(),
            "lr_schedule": {"rates": torch.ones(2)},
            "best": {"miou": torch.tensor(0.5)},
        },
        ["'ours'"],
        ["adam", "lr_schedule", "best"],
    ),
    "two dicts": (
        lambda: {"model_state": {"net": NET}, "scheduler": {"x": torch.ones(2)}},
        ["'model_state'", "'net'"],
        ["scheduler"],
    ),
    "Lightning": (
        lambda: {
            "state_dict": prefixed("model.", NET) | {"criterion.weight": torch.ones(3)},
            "callbacks": {"early": {"best": torch.ones(2)}},
            "hyper_parameters": {"lr": 0.1},
        },
        ["'state_dict'", "prefix 'model.'"],
        ["callbacks", "hyper_parameters", "criterion.*"],
    ),
    "an average of torch": (
        lambda: prefixed("module.", NET) | {"n_averaged": torch.tensor(4)},
        ["prefix 'module.'"],
        ["n_averaged.*"],
    ),
    "a lone student": (lambda: {"student": NET}, ["'student'"], []),
    "something beside tensors": (lambda: NET | {"version": "1"}, [], ["version"]),
}


@pytest.mark.parametrize("case", WRAPPERS)
def test_weights_come_out_whole_and_each_wrapper_is_named(case: str) -> None:
    saved, removed, left_out = WRAPPERS[case]
    found = unwrap(saved(), FILE)
    assert same(found.tensors, NET)
    assert (found.removed, found.left_out) == (removed, left_out)


def test_a_part_that_was_compiled_is_named_as_before() -> None:
    found = unwrap({"head._orig_mod.weight": NET["conv.weight"], "x.bias": torch.ones(1)}, FILE)
    assert found.tensors.keys() == {"head.weight", "x.bias"}


@pytest.mark.parametrize("first", ["model.", "net."])
def test_a_module_called_model_is_no_wrapper(first: str) -> None:
    """Stripping it would drop the other half of the network."""
    network = prefixed(first, NET) | {"decode.weight": torch.ones(2)}
    assert same(unwrap(network, FILE).tensors, network)


def test_a_module_called_ema_something_is_no_average() -> None:
    network = NET | {"ema_gate.weight": torch.ones(2)}
    assert same(unwrap(network, FILE).tensors, network)


def _twice(ema: dict[str, Tensor], raw: dict[str, Tensor]) -> dict[str, Any]:
    flat = {f"ema_{key.replace('.', '_')}": value for key, value in ema.items()}
    return {
        "timm": {"state_dict": raw, "state_dict_ema": ema, "epoch": 1},
        "YOLO": {"model": raw, "ema": {"module": ema, "updates": 3}},
        "prefixes": prefixed("model.", raw) | prefixed("ema_model.", ema),
        "mmcv": {"state_dict": raw | flat, "meta": {}},
        # It lets the two change places when it saves.
        "mmengine": {
            "state_dict": ema,
            "ema_state_dict": prefixed("module.", raw) | {"steps": torch.tensor(1)},
            "meta": {"mmengine_version": "0.10"},
        },
    }


@pytest.mark.parametrize("case", _twice({}, {}))
@pytest.mark.parametrize("weights", ["ema", "raw", None])
def test_of_raw_and_averaged_weights_the_ones_asked_for_are_taken(case: str, weights: Any) -> None:
    expected = zeros(NET) if weights == "raw" else NET
    found = unwrap(_twice(NET, zeros(NET))[case], FILE, weights=weights)
    assert same(found.tensors, expected)
    other = "ema" if weights == "raw" else "raw"
    assert len(found.notes) == 1
    assert f"--weights {other}" in found.notes[0]


@pytest.mark.parametrize(
    "saved",
    [
        {"student": NET, "teacher": zeros(NET)},
        prefixed("student.", NET) | prefixed("teacher.", zeros(NET)),
    ],
)
def test_of_two_networks_one_must_be_chosen(saved: Any) -> None:
    with pytest.raises(UserError, match="several networks: student, teacher; choose one: --part"):
        unwrap(saved, FILE)
    assert same(unwrap(saved, FILE, part="teacher").tensors, zeros(NET))
    with pytest.raises(UserError, match="several networks"):
        unwrap(saved, FILE, part="pupil")


def test_a_choice_that_the_file_does_not_offer_is_refused() -> None:
    with pytest.raises(UserError, match="no part 'teacher'"):
        unwrap(NET, FILE, part="teacher")
    with pytest.raises(UserError, match="one set of weights"):
        unwrap(NET, FILE, weights="ema")


def _circle() -> dict[str, Any]:
    content: dict[str, Any] = {"x": torch.ones(1)}
    content["model"] = content
    return content


@pytest.mark.parametrize("content", [3, [NET], {}, {"epoch": 1}, torch.ones(2), _circle()])
def test_what_holds_no_weights_by_name_is_refused(content: Any) -> None:
    with pytest.raises(UserError, match=r"t\.pth: holds no tensors by name"):
        unwrap(content, FILE)
