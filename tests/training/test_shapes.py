"""What the networks say of a trial before anything is trained."""

import pytest
import torch

from afdcd.models.config import PAPER_ENCODERS, ModelConfig
from afdcd.training.shapes import pair_shapes


@pytest.mark.parametrize("encoder", PAPER_ENCODERS)
def test_the_papers_encoders_take_any_size(encoder: str) -> None:
    """`check_shapes` therefore does not try them."""
    with torch.device("meta"), torch.no_grad():
        network = ModelConfig(head="pspnet", encoder=encoder).build(5).eval()
        for height, width in ((64, 64), (73, 85), (33, 47)):
            found = network(torch.empty(1, 3, height, width)).logits.shape
            assert found == (1, 5, -(-height // 8), -(-width // 8))


def test_a_pair_is_known_without_a_forward_pass() -> None:
    student, teacher = (ModelConfig(head="pspnet", encoder=e) for e in ("mobilenetv2", "resnet18"))
    shapes = pair_shapes(student, teacher, 5)
    assert shapes.channels("encoder") == (320, 512)
    assert shapes.channels("logits") == (5, 5)
    assert "aux" not in shapes.taps  # a MobileNetV2 has no auxiliary head
    assert (shapes.classes, shapes.stride("encoder"), shapes.grid("head", (64, 65))) == (
        5,
        8,
        (8, 9),
    )
