"""The rule of pixel centres, against a slow test of every pixel and COCO's own tools."""

import base64
import io
import time

import numpy as np
import pytest
from PIL import Image

from afdcd.data.images import PictureError, encode_png
from afdcd.data.own import raster
from afdcd.data.own.raster import Canvas, encoded_mask, rle_counts

HEIGHT, WIDTH = 48, 64


def _inside(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pixel by pixel: the edges that a ray to the right of the centre crosses are odd."""
    painted = np.zeros((height, width), dtype=bool)
    edges = list(zip(points, np.roll(points, -1, axis=0), strict=True))
    for row in range(height):
        for column in range(width):
            x, y = column + 0.5, row + 0.5
            for (x0, y0), (x1, y1) in edges:
                if (y0 <= y) != (y1 <= y):
                    painted[row, column] ^= x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    return painted


def _drawn(points: np.ndarray, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    canvas = Canvas(height, width, 0)
    canvas.paint(canvas.polygon(points), 1)
    return canvas.ids == 1


@pytest.mark.parametrize("seed", range(40))
def test_polygons_equal_a_test_of_every_pixel_centre(seed: int) -> None:
    """Corners inside and beyond the picture, edges that cross, and none where a centre lies."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2).tolist()
    points = rng.normal(8, 9, (rng.integers(3, 12), 2))
    np.testing.assert_array_equal(_drawn(points, height, width), _inside(points, height, width))


def test_areas_that_share_an_edge_cover_every_pixel_once() -> None:
    """A fan around a centre on corners of pixels and between them: each edge goes both ways."""
    rng = np.random.default_rng(3)
    for centre in ((32.0, 24.0), (31.5, 23.5), (30.3, 20.7)):
        rim = [(0.0, 0.0), (20.5, 0.0), (64.0, 0.0), (64.0, 30.0), (64.0, 48.0), (7.3, 48.0)]
        rim += [(0.0, 48.0), (0.0, float(rng.uniform(5, 40)))]
        cover = np.zeros((HEIGHT, WIDTH), dtype=int)
        for first, second in zip(rim, rim[1:] + rim[:1], strict=True):
            cover += _drawn(np.array([centre, first, second]))
        assert (cover == 1).all()


def test_painted_and_true_area_agree_on_average() -> None:
    """OpenCV and PIL paint half a pixel more along the whole border."""
    rng = np.random.default_rng(0)
    excess = border = 0.0
    for _ in range(300):
        turn = np.sort(rng.uniform(0, 2 * np.pi, 6))
        points = np.stack([32 + 15 * np.cos(turn), 24 + 15 * np.sin(turn)], axis=1)
        x, y = points.T
        area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        excess += _drawn(points).sum() - area
        border += np.hypot(*(points - np.roll(points, -1, axis=0)).T).sum()
    assert abs(excess / border) < 0.01


def test_a_pixel_on_the_edge_belongs_to_one_side() -> None:
    square = np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 2.5], [0.5, 2.5]])
    assert np.argwhere(_drawn(square, 4, 4)).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_a_hole_is_an_outline_that_touches_itself() -> None:
    outer = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
    inner = [[3, 3], [3, 6], [6, 6], [6, 3], [3, 3]]
    drawn = _drawn(np.array(outer + inner, dtype=float), 10, 10)
    assert drawn.sum() == 100 - 9
    assert not drawn[3:6, 3:6].any()


def test_coordinates_far_away_are_clipped() -> None:
    far = np.array([[-9e8, -9e8], [9e8, -9e8], [9e8, 9e8], [-9e8, 9e8]])
    assert _drawn(far).all()
    assert not _drawn(far + np.array([1e9, 0])).any()


def test_circles_hold_the_centres_within_their_radius() -> None:
    canvas = Canvas(20, 30, 0)
    canvas.paint(canvas.circle(np.array([4.2, 17.9]), 5.3), 1)
    y, x = np.mgrid[:20, :30] + 0.5
    np.testing.assert_array_equal(canvas.ids == 1, np.hypot(x - 4.2, y - 17.9) <= 5.3)


# What pycocotools 2.0 encodes for these corners in 48x64 pixels, and how many pixels it paints.
COCO = [
    ([[7, 0], [42, 24.75], [41, 12]], "P<1`10O010O1O10O01O10O01O10O01O100O00100O010O1O10O01O10O01"
     "O100O001005J^P1", 211),
    ([[63.325, 41.056], [-3.803, 43.3], [-1.582, 36.401], [8.647, 43.612], [34.985, 13.184],
      [26.433, -1.471]], "V15[101O1O1O001OP30oL1O1O1O1O1O1N2O1O001O1O1N2O1O1O1O1YO^O?c0B]O<d0E]O7e"
     "0J\\O3e0OZOOg02ZOKg06ZOGg0:YODh0=51O1O2N1O1O1O1O1O1O1O2N1O1N2O1O1O1O2N1O1O1O1O1O1O2N1O1O8",
     890),
]  # fmt: skip


@pytest.mark.parametrize(("points", "text", "area"), COCO)
def test_compressed_rle_is_what_cocos_own_tools_write(
    points: list[list[float]], text: str, area: int
) -> None:
    canvas = Canvas(HEIGHT, WIDTH, 0)
    canvas.rle(rle_counts(text), 1)
    assert canvas.ids.sum() == area
    # COCO rounds corners to a fifth of a pixel: some pixels of the border differ, both ways.
    assert (_drawn(np.array(points)) != (canvas.ids == 1)).sum() <= 0.04 * area


def test_rle_runs_column_by_column_and_begins_with_zeros() -> None:
    canvas = Canvas(3, 4, 0)
    canvas.rle(np.array([3, 2, 6, 1]), 1)
    assert canvas.ids.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]


@pytest.mark.parametrize("seed", range(20))
def test_rle_of_any_mask_gives_it_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(tuple(rng.integers(1, 9, 2).tolist())) < rng.random()
    flat = mask.T.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False))
    canvas = Canvas(*mask.shape, 0)
    canvas.rle(np.diff(changes, prepend=0, append=flat.size), 1)
    np.testing.assert_array_equal(canvas.ids == 1, mask)


@pytest.mark.parametrize("counts", [[], [5], [3, 2, 6, 2], [13, -1], [2**62, 2**62, 2**62]])
def test_rle_of_another_size_is_refused(counts: list[int]) -> None:
    with pytest.raises(PictureError, match=r"RLE.*: .+"):
        Canvas(3, 4, 0).rle(np.array(counts, dtype=np.int64), 1)


@pytest.mark.parametrize("text", ["", "\x00", "é", "oooooooo0", "P", "0o", "~"])
def test_no_text_of_rle_breaks_it(text: str) -> None:
    with pytest.raises(PictureError, match=r"RLE.*: .+"):
        Canvas(3, 4, 0).rle(rle_counts(text), 1)


def test_masks_are_cut_off_at_the_border() -> None:
    canvas = Canvas(4, 5, 0)
    canvas.mask(np.ones((3, 3), dtype=bool), -1, 3, 1)
    canvas.mask(np.ones((3, 3), dtype=bool), 3, -2, 2)
    canvas.mask(np.ones((3, 3), dtype=bool), 9, 9, 3)
    assert canvas.ids.tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 1, 1], [0] * 5, [2, 0, 0, 0, 0]]


def test_encoded_masks() -> None:
    mask = np.array([[0, 255], [1, 0]], dtype=np.uint8)
    for data in (encode_png(mask), _one_bit(mask)):
        assert encoded_mask(base64.b64encode(data).decode()).tolist() == [
            [False, True],
            [True, False],
        ]
    for bad in (
        "%%%",
        "é",
        "aGVsbG8=",
        base64.b64encode(encode_png(np.zeros((2, 2, 3), np.uint8))),
    ):
        with pytest.raises(PictureError, match=r": .+"):
            encoded_mask(bad if isinstance(bad, str) else bad.decode())


def _one_bit(mask: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(mask > 0).save(stream, "PNG")
    return stream.getvalue()


def test_too_much_work_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    comb = np.array([[x, y] for x in range(60) for y in (0.0, 48.0)])
    canvas = Canvas(HEIGHT, WIDTH, 0)
    monkeypatch.setattr(raster, "MOST_RUNS", 3000)
    with pytest.raises(PictureError, match=r"[\d,]+ runs of pixels, at most 3,000"):
        for _ in range(10):
            canvas.polygon(comb)
    with pytest.raises(PictureError, match="5,000 runs of pixels"):
        Canvas(HEIGHT, WIDTH, 0).rle(np.ones(5000, dtype=np.int64), 1)
    with pytest.raises(PictureError, match="characters of RLE"):
        rle_counts("0" * 30_000)
    monkeypatch.setattr(raster, "MOST_PIXELS", 10_000)
    with pytest.raises(PictureError, match="pixels to paint"):
        for _ in range(10):
            canvas.mask(np.ones((HEIGHT, WIDTH), dtype=bool), 0, 0, 1)


def test_five_hundred_polygons_on_two_megapixels_take_no_second() -> None:
    rng = np.random.default_rng(0)
    start = time.process_time()
    canvas = Canvas(1080, 1920, 0)
    for value in range(500):
        turn = np.sort(rng.uniform(0, 2 * np.pi, 30))
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
        points = rng.uniform(0, 1, 2) * (1920, 1080) + rng.uniform(20, 300) * circle
        canvas.paint(canvas.polygon(points), value % 200)
    assert time.process_time() - start < 1
