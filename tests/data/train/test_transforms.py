"""The paper's augmentation: what a window shows is what resizing the whole image would show there."""

import cv2
import numpy as np
import pytest
import torch

from afdcd.data.train.transforms import (
    Window,
    cut_image,
    cut_label,
    draw_window,
    normalise,
    normalised,
    scale_steps,
)

RNG = np.random.default_rng
SCALES = scale_steps((0.5, 2.0), 0.1)
IMAGE = RNG(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_imagenet_normalisation_by_hand() -> None:
    pixel = np.array([[[255, 0, 128]]], dtype=np.uint8)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (128 / 255 - 0.406) / 0.225]
    assert normalise(pixel, "imagenet").flatten().tolist() == pytest.approx(expected, abs=1e-5)


def test_caffe_normalisation_by_hand() -> None:
    pixel = np.array([[[255, 0, 128]]], dtype=np.uint8)
    expected = [128 - 104.00698793, 0 - 116.66876762, 255 - 122.67891434]
    assert normalise(pixel, "caffe").flatten().tolist() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_batch_is_normalised_as_each_of_its_images(layout: torch.memory_format) -> None:
    images = RNG(1).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    batch = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    for name in ("imagenet", "caffe"):
        together = normalised(batch, name)
        assert torch.equal(together, torch.stack([normalise(image, name) for image in images]))
        assert together.is_contiguous(memory_format=layout)


def test_the_sixteen_scales_are_those_of_the_official_code() -> None:
    assert SCALES.tolist() == [0.5 + step / 10.0 for step in range(16)]
    assert scale_steps((1.0, 1.0), 0.1).tolist() == [1.0]


def test_every_scale_is_drawn_about_equally_often() -> None:
    drawn = [_draw(RNG(seed), (40, 60), crop=(32, 32)).scale for seed in range(3200)]
    _, counts = np.unique(drawn, return_counts=True)
    assert len(counts) == 16
    assert counts.min() > 140
    assert counts.max() < 260


def test_every_window_can_be_drawn() -> None:
    windows = [_draw(RNG(seed), (40, 60), crop=(38, 58), scale=1.0) for seed in range(200)]
    assert {(w.top, w.left) for w in windows} == {(y, x) for y in range(3) for x in range(3)}
    assert 60 < sum(w.flip for w in windows) < 140


def test_equal_generators_draw_equal_windows() -> None:
    first, second, other = (_draw(RNG(seed), (400, 600), crop=(32, 32)) for seed in (3, 3, 4))
    assert first == second != other


@pytest.mark.parametrize("scale", [*SCALES.tolist(), 0.75, 1.23456789, 2.7])
@pytest.mark.parametrize("size", [(137, 2048), (1024, 203), (97, 61)])
def test_a_window_is_cut_from_the_whole_image_resized(scale: float, size: tuple[int, int]) -> None:
    """Bit for bit, from no more rows than it says it needs."""
    rng = RNG([*size, round(1000 * scale)])
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    label = rng.integers(0, 19, size, dtype=np.uint8)
    whole = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    whole_label = cv2.resize(label, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    for _ in range(12):
        crop = int(rng.integers(32, 200)), int(rng.integers(32, 300))
        window = _draw(rng, size, crop=crop, scale=scale)
        expected, expected_label = (
            _mirrored(w[window.top :, window.left :][: crop[0], : crop[1]], window)
            for w in (whole, whole_label)
        )
        rows = window.rows(size[0])
        np.testing.assert_array_equal(cut_image(image[:rows], size[0], window), expected)
        np.testing.assert_array_equal(cut_label(label[:rows], size[0], window), expected_label)


def test_little_more_is_resized_than_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    resized: list[int] = []
    resize = cv2.resize
    monkeypatch.setattr(
        cv2, "resize", lambda part, *a, **kw: (resized.append(part.size), resize(part, *a, **kw))[1]
    )
    image = np.zeros((1024, 2048, 3), dtype=np.uint8)
    cut_image(image, 1024, Window(2.0, 1500, 3000, 512, 1024, flip=False))
    assert resized[0] < 1.1 * image.size / 16


def test_rows_below_the_window_are_not_needed() -> None:
    assert Window(2.0, 0, 0, 512, 1024, flip=False).rows(1024) in range(257, 260)
    assert Window(0.5, 0, 0, 512, 1024, flip=False).rows(1024) == 1024


def test_scale_one_shows_the_stored_pixels() -> None:
    window = Window(1.0, 3, 5, 32, 36, flip=False)
    assert np.array_equal(cut_image(IMAGE, 40, window), IMAGE[3:35, 5:41])


def _draw(
    rng: np.random.Generator,
    size: tuple[int, int],
    *,
    crop: tuple[int, int],
    scale: float | None = None,
) -> Window:
    scales = SCALES if scale is None else np.array([scale])
    return draw_window(rng, size, crop=crop, scales=scales, flip=True)


def _mirrored(part: np.ndarray, window: Window) -> np.ndarray:
    return part[:, ::-1] if window.flip else part
