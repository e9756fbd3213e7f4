"""Which of afdcd's networks weights are of: what is printed builds the network that they fill."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from afdcd.config import UserError
from afdcd.models.checkpoints.own import match
from afdcd.models.config import ModelConfig
from afdcd.models.names import official_backbone_name
from afdcd.models.weights import load_weights
from tests.models.checkpoints.saved import trained
from tests.models.published import to_official

MODELS = [
    {"head": "deeplabv3", "encoder": "resnet18"},
    {"head": "pspnet", "encoder": "resnet18", "aux": False},
    {"head": "deeplabv3", "encoder": "mobilenetv2", "head_width": 512},
    {"head": "pspnet", "encoder": "mobilenetv2", "aux": True},
]


def _read(lines: Sequence[str]) -> Any:
    return yaml.safe_load("\n".join(lines))


@pytest.mark.parametrize("values", MODELS, ids=lambda values: "-".join(map(str, values.values())))
@pytest.mark.parametrize("spelling", ["official", "own"])
def test_printed_lines_build_the_network_that_the_file_fills(
    values: dict[str, Any], spelling: str, tmp_path: Path
) -> None:
    theirs = trained(ModelConfig(**values), 7)
    tensors = to_official(theirs) if spelling == "official" else theirs.state_dict()
    file = tmp_path / 'a "b": c.safetensors'
    save_file(tensors, file)
    found = match(tensors, str(file))
    assert found is not None and found.keys.exact
    assert "7 classes" in found.name
    said = _read(found.lines)
    assert said["pair"]["teacher"] == {"weights": str(file), "model": values}
    assert said.get("data") == ({"normalisation": "caffe"} if spelling == "official" else None)
    ours = ModelConfig(**said["pair"]["teacher"]["model"]).build(7)
    load_weights(ours, file)
    assert all(value.equal(theirs.state_dict()[key]) for key, value in ours.state_dict().items())


def test_the_large_encoder_is_told_from_the_small() -> None:
    with torch.device("meta"):
        tensors = to_official(ModelConfig(head="pspnet", encoder="resnet101").build(19))
    found = match(tensors, "t")
    assert found is not None and found.keys.exact
    assert found.name.startswith("pspnet on resnet101, 19 classes, head 512 wide, with")


def test_an_encoder_of_timm_must_be_said() -> None:
    tensors = ModelConfig(head="mlp", encoder="timm:lcnet_050").build(4).state_dict()
    assert match(tensors, "t") is None
    found = match(tensors, "t", "timm:lcnet_050")
    assert found is not None and found.keys.exact
    model = _read(found.lines)["pair"]["teacher"]["model"]
    assert model == {"head": "mlp", "encoder": "timm:lcnet_050"}
    with pytest.raises(UserError, match=r"unknown encoder 'timm:lcnet_05'"):
        match(tensors, "t", "timm:lcnet_05")
    with pytest.raises(UserError, match=r"--encoder resnet18.*head mlp reads"):
        match(tensors, "t", "resnet18")


def test_differences_are_counted_in_each_direction() -> None:
    tensors = to_official(trained(ModelConfig(**MODELS[3]), 7))
    tensors["head.block.0.weight"] = torch.ones(2, 2)
    for key in [key for key in tensors if "psp.conv1" in key]:
        tensors[f"{key}.more"] = tensors.pop(key)
    found = match(tensors, "t")
    assert found is not None
    assert [line.split(":")[0] for line in found.keys.lines()] == [
        "6 keys that the network needs are missing",
        "6 keys are not known to it",
        "1 keys have other shapes",
    ]
    assert "head.block.0.weight is [2, 2], needs [128, 640, 3, 3]" in found.keys.lines()[2]


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv2", "timm:resnet18"])
def test_a_backbone_alone_is_a_start_for_a_student(encoder: str, tmp_path: Path) -> None:
    """As in `resnet18-imagenet.pth`, and as torchvision and timm publish theirs."""
    if encoder.startswith("timm:"):
        tensors = timm.create_model(encoder.removeprefix("timm:")).state_dict()
    else:
        theirs = ModelConfig(head="pspnet", encoder=encoder).build(3).encoder.state_dict()
        tensors = {official_backbone_name(key): value for key, value in theirs.items()}
        tensors["fc.weight"] = torch.ones(2, 3)
    save_file(tensors, tmp_path / "t.safetensors")
    found = match(tensors, str(tmp_path / "t.safetensors"))
    assert found is not None and found.keys.exact
    student = _read(found.lines)["pair"]["student"]
    assert student["encoder"] == encoder
    ours = ModelConfig(**student).build(3).encoder.state_dict()
    assert any(value.equal(next(iter(tensors.values()))) for value in ours.values())


@pytest.mark.parametrize("shape", [(0, 4, 1, 1), (1 << 40, 4, 1, 1), (3,), (3, 0, 1, 1)])
def test_a_classifier_of_no_sensible_shape_is_only_another_difference(shape: Any) -> None:
    tensors = to_official(trained())
    tensors["head.classifier.weight"] = torch.ones(1, device="meta").expand(shape)
    found = match(tensors, "t")
    assert found is not None and not found.keys.exact


def test_something_else_is_near_nothing() -> None:
    assert match({"a.weight": torch.ones(2)}, "t") is None
    assert (
        match({"encoder.layer4.x": torch.ones(2), "head.lateral.0.x": torch.ones(2)}, "t") is None
    )
