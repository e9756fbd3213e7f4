"""Cross-entropy at label size: equal to resizing and F.cross_entropy, in chunks, without a wait."""

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from afdcd.losses import cross_entropy
from afdcd.losses.cross_entropy import upsampled_cross_entropy

IGNORE = 255
SHAPE = (3, 5, 4, 6)  # b k h w
SIZES = [(29, 41), (4, 6), (1, 1), (3, 2)]  # larger, equal, one pixel, smaller


class Watch(TorchDispatchMode):
    """Names and matrix precision of all operations, results too large are refused."""

    def __init__(self, largest: float = float("inf")) -> None:
        super().__init__()
        self.largest = largest
        self.seen: set[str] = set()
        self.precisions: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.add(func.overloadpacket.__name__)
        if "mm" in func.overloadpacket.__name__:
            self.precisions.add(torch.backends.cuda.matmul.fp32_precision)
        result = func(*args, **(kwargs or {}))
        assert not isinstance(result, Tensor) or result.numel() <= self.largest
        return result


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_value_and_gradient_are_those_of_the_resized_logits(
    size: tuple[int, int], dtype: torch.dtype, rtol: float
) -> None:
    logits, labels = _batch(size, dtype)
    got, expected = _both(upsampled_cross_entropy, logits, labels), _both(_plain, logits, labels)
    torch.testing.assert_close(got[0], expected[0], rtol=rtol, atol=0)
    scale = expected[1].abs().max().item()
    torch.testing.assert_close(got[1], expected[1], rtol=0, atol=rtol * scale)


def test_a_network_of_another_rule_has_its_logits_resized_by_it() -> None:
    """transformers, torchvision and mmsegmentation resize edge upon edge."""
    logits, labels = _batch((29, 41), torch.float64)
    ours = _both(partial(upsampled_cross_entropy, align_corners=False), logits, labels)
    theirs = _both(partial(_plain, align_corners=False), logits, labels)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert ours[0] != _both(upsampled_cross_entropy, logits, labels)[0]


@pytest.mark.parametrize("elements", [1, 5 * 41 * 3, 5 * 29 * 41 * 2])
def test_chunks_of_rows_or_images_change_nothing_but_memory(
    monkeypatch: pytest.MonkeyPatch, elements: int
) -> None:
    logits, labels = _batch((29, 41), torch.float64)
    expected = _both(_plain, logits, labels)
    monkeypatch.setattr(cross_entropy, "CHUNK_ELEMENTS", elements)
    with Watch(largest=max(elements, 5 * 4 * 41 * 2)):  # or one chunk resized along its rows only
        got = _both(upsampled_cross_entropy, logits, labels)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


def test_gradient_equals_finite_differences() -> None:
    logits, labels = _batch((9, 7), torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: 0.7 * upsampled_cross_entropy(x, labels, IGNORE), (logits.requires_grad_(),)
    )


def test_image_without_labels_has_no_gradient_and_adds_nothing() -> None:
    logits, labels = _batch((9, 7), torch.float64)
    labels[1] = IGNORE
    value, gradient = _both(upsampled_cross_entropy, logits, labels)
    kept = [0, 2]
    torch.testing.assert_close((value, gradient[kept]), _both(_plain, logits[kept], labels[kept]))
    assert not gradient[1].any()


def test_confident_logits_keep_their_loss() -> None:
    """exp(-300) is 0 in fp32, its logarithm must not be infinite."""
    logits = torch.tensor([300.0, 0.0]).view(1, 2, 1, 1)
    labels = torch.ones(1, 1, 1, dtype=torch.uint8)
    value, gradient = _both(upsampled_cross_entropy, logits, labels)
    assert value.item() == 300.0
    assert gradient.flatten().tolist() == [1.0, -1.0]


def test_device_is_never_waited_for() -> None:
    logits, labels = _batch((9, 7), torch.float32)
    with Watch() as watch:
        _both(upsampled_cross_entropy, logits, labels)
    assert "_log_softmax" in watch.seen  # the watch sees into the function
    assert watch.seen.isdisjoint({"_local_scalar_dense", "nonzero", "equal", "is_nonzero"})


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_matrix_products_are_exact_whatever_the_process_allows(precision: str) -> None:
    logits, labels = _batch((9, 7), torch.float32)
    torch.set_float32_matmul_precision(precision)
    allowed = torch.backends.cuda.matmul.fp32_precision
    try:
        with Watch() as watch, torch.autocast("cpu", dtype=torch.bfloat16):
            value = upsampled_cross_entropy(logits, labels, IGNORE)
        assert torch.backends.cuda.matmul.fp32_precision == allowed
    finally:
        torch.set_float32_matmul_precision("highest")
    assert watch.precisions == {"ieee"}
    torch.testing.assert_close(value, _plain(logits, labels, IGNORE), rtol=1e-6, atol=0)


def _plain(logits: Tensor, labels: Tensor, ignore: int, align_corners: bool = True) -> Tensor:
    resized = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=align_corners)
    return F.cross_entropy(resized, labels.long(), ignore_index=ignore, reduction="sum")


def _both(loss: Any, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Value, and gradient of twice the value."""
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, labels, IGNORE)
    (gradient,) = torch.autograd.grad(2 * value, leaf)
    return value.detach(), gradient / 2


def _batch(size: tuple[int, int], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(SHAPE, generator=generator, dtype=dtype)
    labels = torch.randint(SHAPE[1], (SHAPE[0], *size), generator=generator).to(torch.uint8)
    labels[0, : size[0] // 3] = IGNORE
    return logits, labels
