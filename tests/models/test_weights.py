"""Weights in files: round trips, published spellings, and one line for every defect."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from afdcd.config import UserError
from afdcd.models.config import ModelConfig
from afdcd.models.tensors import read_tensors
from afdcd.models.weights import (
    NetworkCard,
    load_network,
    load_weights,
    save_network,
)
from afdcd.models.zoo import SegmentationNetwork
from tests.models.published import to_official

CONFIG = ModelConfig(head="deeplabv3", encoder="timm:lcnet_050")
CARD = NetworkCard(
    model=CONFIG,
    dataset="synthetic",
    classes=("sky", "road", "car"),
    palette=((0, 0, 0), (1, 2, 3), (255, 255, 255)),
    normalisation="imagenet",
    miou=0.5,
)
# Entries of the published state dicts, batch norm buffers included.
PUBLISHED_ENTRIES = {
    ("deeplabv3", "resnet101"): 688,
    ("deeplabv3", "resnet18"): 190,
    ("pspnet", "resnet18"): 178,
    ("deeplabv3", "mobilenetv2"): 350,
    ("pspnet", "mobilenetv2"): 338,
}
PUBLISHED_KEYS = {
    ("deeplabv3", "resnet18"): """pretrained.conv1.weight pretrained.bn1.running_mean
        pretrained.conv2.weight pretrained.bn2.bias pretrained.conv3.weight pretrained.bn3.weight
        pretrained.layer1.0.downsample.1.weight pretrained.layer4.1.bn2.num_batches_tracked
        head.aspp.b0.0.weight head.aspp.b1.block.1.weight head.aspp.b3.block.0.weight
        head.aspp.b4.gap.1.weight head.aspp.b4.gap.2.bias head.aspp.project.1.weight
        head.block.0.weight head.block.1.bias head.block.4.bias
        auxlayer.block.0.weight auxlayer.block.1.running_var auxlayer.block.4.bias""",
    ("pspnet", "mobilenetv2"): """pretrained.net.features.0.1.bias
        pretrained.net.features.1.conv.4.weight pretrained.net.features.17.conv.7.running_var
        head.psp.conv1.0.weight head.psp.conv4.1.bias head.block.1.weight head.classifier.bias""",
}


def test_network_round_trip(tmp_path: Path) -> None:
    network = _trained_a_bit(CONFIG)
    save_network(tmp_path / "n.safetensors", network, CARD)
    loaded, card = load_network(tmp_path / "n.safetensors")
    assert card == CARD
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert loaded(images).logits.equal(network.eval()(images).logits)
    assert [file.name for file in tmp_path.iterdir()] == ["n.safetensors"]


def test_file_forgets_where_the_pretrained_weights_lay(tmp_path: Path) -> None:
    network = _trained_a_bit(CONFIG)
    network.config = CONFIG.updated(pretrained="/home/me/weights.safetensors")
    save_network(tmp_path / "n.safetensors", network, CARD)
    assert b"/home/me" not in (tmp_path / "n.safetensors").read_bytes()


def test_a_pretrained_path_in_somebodys_file_is_not_opened(tmp_path: Path) -> None:
    values = CARD.plain()
    values["model"]["pretrained"] = "/etc/passwd"
    network = _trained_a_bit(CONFIG)
    file = tmp_path / "n.safetensors"
    save_file(network.state_dict(), file, metadata={"afdcd": json.dumps(values)})
    assert load_network(file)[1].model.pretrained is None


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_full(_tensors: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    file = tmp_path / "n.safetensors"
    file.write_bytes(b"old")
    monkeypatch.setattr("afdcd.models.tensors.save_file", disk_full)
    with pytest.raises(OSError, match="No space"):
        save_network(file, _trained_a_bit(CONFIG), CARD)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_card_must_name_the_networks_classes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="card names 2 classes, network has 3"):
        save_network(
            tmp_path / "n.safetensors", _trained_a_bit(CONFIG), CARD.updated(classes=("a", "b"))
        )


@pytest.mark.parametrize(("head", "encoder"), PUBLISHED_ENTRIES)
def test_official_spelling_has_the_published_entries(head: Any, encoder: str) -> None:
    with torch.device("meta"):
        official = to_official(ModelConfig(head=head, encoder=encoder).build(19))
    assert len(official) == PUBLISHED_ENTRIES[head, encoder]
    assert set(PUBLISHED_KEYS.get((head, encoder), "").split()) <= official.keys()
    assert {key.split(".")[0] for key in official} <= {"pretrained", "head", "auxlayer"}


@pytest.mark.parametrize("head", ["deeplabv3", "pspnet"])
@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv2"])
def test_published_checkpoint_loads(head: Any, encoder: str, tmp_path: Path) -> None:
    config = ModelConfig(head=head, encoder=encoder)
    theirs, ours = _trained_a_bit(config), config.build(3)
    save_file(to_official(theirs), tmp_path / "kd.safetensors")
    load_weights(ours, tmp_path / "kd.safetensors")
    _assert_same(ours.state_dict(), theirs.state_dict())


def test_own_file_loads_as_weights(tmp_path: Path) -> None:
    theirs, ours = _trained_a_bit(CONFIG), CONFIG.build(3)
    save_network(tmp_path / "n.safetensors", theirs, CARD)
    load_weights(ours, tmp_path / "n.safetensors")
    _assert_same(ours.state_dict(), theirs.state_dict())


def test_head_of_another_width_is_named(tmp_path: Path) -> None:
    """CIRKDv2 released the same keys with heads of 512."""
    wide = ModelConfig(head="deeplabv3", encoder="mobilenetv2", head_width=40).build(3)
    save_file(to_official(wide), tmp_path / "v2.safetensors")
    narrow = ModelConfig(head="deeplabv3", encoder="mobilenetv2").build(3)
    with pytest.raises(UserError, match=r"head is 40 wide.*128.*set model.head_width to 40"):
        load_weights(narrow, tmp_path / "v2.safetensors")


def test_other_number_of_classes_is_named_and_changes_nothing(tmp_path: Path) -> None:
    save_network(tmp_path / "n.safetensors", _trained_a_bit(CONFIG), CARD)
    network = CONFIG.build(7)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(UserError, match=r"head.classifier.weight is \[3, .*needs \[7,"):
        load_weights(network, tmp_path / "n.safetensors")
    _assert_same(network.state_dict(), before)


def test_other_network_is_named_with_counts(tmp_path: Path) -> None:
    save_network(tmp_path / "n.safetensors", _trained_a_bit(CONFIG), CARD)
    other = CONFIG.updated(head="pspnet").build(3)
    with pytest.raises(UserError, match=r"24 keys \(head.psp.branches.0.0.weight, .*36 keys"):
        load_weights(other, tmp_path / "n.safetensors")


def test_defects_of_files_are_told_in_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_network(whole, _trained_a_bit(CONFIG), CARD)
    torch.save({"x": torch.zeros(1)}, tmp_path / "zip.pth")
    torch.save({"x": torch.zeros(1)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "text.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "empty.safetensors").touch()
    save_file({"x": torch.zeros(1)}, tmp_path / "bare.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "bad.safetensors", metadata={"afdcd": "{"})
    save_file({"x": torch.zeros(1)}, tmp_path / "odd.safetensors", metadata={"afdcd": "[]"})
    for name, message in {
        "none.safetensors": "No such file",
        "zip.pth": "pickled checkpoint.*afdcd convert .*zip.pth --out t.safetensors",
        "old.pth": "pickled checkpoint",
        "cut.safetensors": "cut short",
        "text.safetensors": "not a safetensors file",
        "empty.safetensors": "not a safetensors file",
        "bare.safetensors": "do not say which network",
        "bad.safetensors": "not JSON",
        "odd.safetensors": "odd.safetensors",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            load_network(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def _trained_a_bit(config: ModelConfig) -> SegmentationNetwork:
    """Every entry differs from those of a network fresh from `build`, statistics included."""
    network = config.build(3)
    generator = torch.Generator().manual_seed(0)
    for value in network.state_dict().values():
        noise = torch.rand(value.shape, generator=generator)
        value.copy_(noise + 0.5 if value.is_floating_point() else torch.tensor(7))
    return network


def _assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert [key for key in found if not found[key].equal(expected[key])] == []


@pytest.mark.parametrize("beginning", [b"\x80\x02", b"\x80\x05"])
def test_a_file_whose_length_looks_like_a_pickle_is_none(tmp_path: Path, beginning: bytes) -> None:
    """A safetensors file begins with the number of its header's bytes, of which one in thousands says so."""
    file, length = tmp_path / "net.safetensors", int.from_bytes(beginning, "little")
    for filling in range(length):
        save_file({"a": torch.ones(2)}, file, metadata={"x": "y" * filling})
        if int.from_bytes(file.read_bytes()[:8], "little") == length:
            break
    assert file.read_bytes().startswith(beginning)
    tensors, _ = read_tensors(file)
    assert tensors["a"].equal(torch.ones(2))
