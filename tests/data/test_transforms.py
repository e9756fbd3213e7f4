import numpy as np
import pytest
import torch
import torch.nn.functional as F

from afdcd.data.catalog import IGNORE
from afdcd.data.transforms import augment, normalise, scale_steps

RNG = np.random.default_rng
IMAGE = RNG(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
LABEL = RNG(1).integers(0, 11, (40, 60), dtype=np.uint8)


def _augment(
    seed: int, *, crop: tuple[int, int], scale: float = 1.0, flip: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(
        IMAGE,
        LABEL,
        RNG(seed),
        crop=crop,
        scales=np.array([scale]),
        flip=flip,
        normalisation="caffe",
    )


def test_imagenet_normalisation_by_hand() -> None:
    pixel = np.array([[[255, 0, 128]]], dtype=np.uint8)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    assert normalise(pixel, "imagenet").flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_caffe_normalisation_by_hand() -> None:
    pixel = np.array([[[255, 0, 128]]], dtype=np.uint8)
    expected = [128 - 104.00698793, 0 - 116.66876762, 255 - 122.67891434]
    assert normalise(pixel, "caffe").flatten().tolist() == pytest.approx(expected, abs=1e-4)


def test_paper_draws_from_sixteen_scales() -> None:
    assert scale_steps((0.5, 2.0), 0.1) == pytest.approx(np.arange(5, 21) / 10)
    assert scale_steps((1.0, 1.0), 0.1).tolist() == [1.0]


def test_without_scaling_a_crop_is_a_window_of_the_image() -> None:
    places = set()
    whole = normalise(IMAGE, "caffe")
    for seed in range(20):
        pixels, classes = _augment(seed, crop=(32, 36))
        top, left = _place(classes)
        places.add((top, left))
        assert torch.equal(pixels, whole[:, top : top + 32, left : left + 36])
    assert len(places) > 10


def _place(classes: torch.Tensor) -> tuple[int, int]:
    """Where a crop was cut from, found by its labels."""
    height, width = classes.shape
    windows = np.lib.stride_tricks.sliding_window_view(LABEL, (height, width))
    (place,) = np.argwhere((windows == classes.numpy()).all(axis=(2, 3)))
    return int(place[0]), int(place[1])


def test_every_window_can_be_drawn() -> None:
    places = {_place(_augment(seed, crop=(38, 58))[1]) for seed in range(200)}
    assert places == {(top, left) for top in range(3) for left in range(3)}


@pytest.mark.parametrize("scale", [0.5, 1.7])
def test_image_is_bilinear_and_label_nearest_at_pixel_centres(scale: float) -> None:
    size = round(40 * scale), round(60 * scale)
    pixels, classes = _augment(0, crop=size, scale=scale)
    image = torch.from_numpy(IMAGE).permute(2, 0, 1)[None].float()
    expected = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
    shown = pixels.flip(0) + torch.tensor([122.67891434, 116.66876762, 104.00698793]).view(3, 1, 1)
    assert (shown - expected[0]).abs().max() <= 1.01  # the reference keeps fractions of a level
    nearest = F.interpolate(torch.from_numpy(LABEL)[None, None], size=size, mode="nearest-exact")
    assert (classes == nearest[0, 0]).float().mean() > 0.95  # ties may fall either way


def test_small_image_is_padded_at_the_bottom_and_right() -> None:
    pixels, classes = _augment(0, crop=(64, 64), scale=0.5)
    assert (classes[:20, :30] != IGNORE).all()
    assert (classes[20:] == IGNORE).all()
    assert (classes[:, 30:] == IGNORE).all()
    assert (pixels[:, 20:] == 0).all()
    assert (pixels[:, :, 30:] == 0).all()
    assert (pixels[:, :20, :30] != 0).any(dim=0).all()


def test_flip_turns_image_and_label_together_half_of_the_time() -> None:
    whole, label = normalise(IMAGE, "caffe"), torch.from_numpy(LABEL)
    flips = 0
    for seed in range(100):
        pixels, classes = _augment(seed, crop=(40, 60), flip=True)
        flipped = bool((classes == label.flip(1)).all())
        assert torch.equal(pixels, whole.flip(2) if flipped else whole)
        assert torch.equal(classes, label.flip(1) if flipped else label)
        flips += flipped
    assert 30 < flips < 70


def test_equal_generators_give_equal_samples() -> None:
    first, second = (_augment(3, crop=(32, 32), flip=True) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[0], _augment(4, crop=(32, 32), flip=True)[0])
