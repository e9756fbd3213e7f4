"""Encoders that start from a file: both spellings, timm's renamed stages, the unreachable hub."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from afdcd.config import UserError
from afdcd.models.config import ModelConfig
from afdcd.models.names import official_backbone_name


@pytest.mark.parametrize("name", ["lcnet_050", "convnext_atto"])
def test_timm_weights_load_and_the_classifier_is_ignored(name: str, tmp_path: Path) -> None:
    """convnext: the feature extractor renames `stages.0` to `stages_0`."""
    theirs = timm.create_model(name).state_dict()
    save_file(theirs, tmp_path / "t.safetensors")
    loaded = _build(f"timm:{name}", tmp_path / "t.safetensors").encoder.state_dict()
    flat = {key.replace(".", "_"): value for key, value in theirs.items()}
    for key, value in loaded.items():
        assert value.equal(flat[key.removeprefix("net.").replace(".", "_")]), key


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv2"])
def test_published_backbone_loads(encoder: str, tmp_path: Path) -> None:
    """As in `resnet18-imagenet.pth`: bare keys, a classifier beside them, no batch counters."""
    theirs = ModelConfig(head="pspnet", encoder=encoder).build(3).encoder
    tensors = {
        official_backbone_name(key): torch.full_like(value, 0.25)
        for key, value in theirs.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    save_file(tensors | {"fc.weight": torch.zeros(1)}, tmp_path / "b.safetensors")
    loaded = _build(encoder, tmp_path / "b.safetensors").encoder
    assert all(parameter.eq(0.25).all() for parameter in loaded.parameters())
    assert all(
        m.running_mean.eq(0.25).all() for m in loaded.modules() if hasattr(m, "running_mean")
    )


def test_deep_stem_of_timm_is_not_mistaken_for_the_published_spelling(tmp_path: Path) -> None:
    """`bn1` is the third batch norm of the stem in timm, the first in the published files."""
    theirs = ModelConfig(head="pspnet", encoder="resnet18").build(3).encoder
    theirs.bn1.weight.data.fill_(3.0)
    save_file(theirs.state_dict(), tmp_path / "t.safetensors")
    loaded = _build("resnet18", tmp_path / "t.safetensors").encoder
    assert loaded.bn1.weight.eq(3).all()
    assert loaded.conv1[1].weight.eq(1).all()


def test_weights_of_another_encoder_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("lcnet_050").state_dict(), tmp_path / "t.safetensors")
    with pytest.raises(UserError, match=r"t.safetensors.*keys \(.*missing"):
        _build("resnet18", tmp_path / "t.safetensors")


def test_unreachable_hub_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any) -> str:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr("afdcd.models.pretrained.hf_hub_download", offline)
    with pytest.raises(UserError, match=r"cannot fetch timm/lcnet_050.*give that path"):
        _build("timm:lcnet_050", "imagenet")


def test_imagenet_weights_come_from_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = timm.create_model("lcnet_050")
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    asked: list[tuple[str, str]] = []

    def hub(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr("afdcd.models.pretrained.hf_hub_download", hub)
    loaded = _build("timm:lcnet_050", "imagenet").encoder
    assert asked == [("timm/lcnet_050.ra2_in1k", "model.safetensors")]
    assert next(loaded.parameters()).equal(next(theirs.parameters()))


def _build(encoder: str, pretrained: str | Path) -> Any:
    return ModelConfig(head="pspnet", encoder=encoder, pretrained=str(pretrained)).build(3)
