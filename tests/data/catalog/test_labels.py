"""What a label file says, in each encoding, and the files that are in none."""

import io
import pickle

import numpy as np
import pytest
from PIL import Image

from afdcd.data.catalog.datasets import CAMVID, VOC
from afdcd.data.catalog.labels import Colours, Encoding, Numbers
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.images import PictureError, encode_png
from tests.samples import SAMPLES, needs_samples

SEGNET = Numbers("SegNet", CAMVID.raw_to_train, {200: "a remark on 200"})
COLOURS = Colours("three colours", {(128, 0, 0): 1, (0, 0, 192): 4, (0, 0, 0): IGNORE})


def _saved(image: Image.Image, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("dtype", "kind"), [(np.uint8, "PNG"), (np.uint16, "PNG"), (np.int32, "TIFF")]
)
def test_numbers_become_train_ids(dtype: type, kind: str) -> None:
    values = np.array([[0, 10, 11], [255, 3, 3]], dtype=dtype)
    ids = SEGNET.train_ids(_saved(Image.fromarray(values), kind))
    assert ids.dtype == np.uint8
    assert ids.tolist() == [[0, 10, 255], [255, 3, 3]]


def test_one_bit_labels_are_numbers() -> None:
    ids = SEGNET.translate(Image.fromarray(np.array([[False, True]])))
    assert ids.tolist() == [[0, 1]]


def test_palette_counts_by_index_not_by_colour() -> None:
    label = Image.fromarray(np.array([[1, 2]], dtype=np.uint8)).convert("P")
    label.putpalette([200, 200, 200] * 256)
    assert SEGNET.train_ids(_saved(label)).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("values", "listed"),
    [
        (
            np.array([[1, 12, 12], [200, 0, 0]], dtype=np.uint8),
            r"12 \(2 pixels\), 200 \(1 pixels\): a remark on 200$",
        ),
        (np.array([[1, 300]], dtype=np.uint16), r"300 \(1 pixels\): another encoding\? .*0\.\.255"),
        (np.array([[0, 40, 255]], np.uint8), r"multiples of 40, as in a picture .* divide by 40"),
        (np.arange(20, 40, dtype=np.uint8)[None], r"27 \(1 pixels\) and 12 more: another encoding"),
        (np.array([[1, 70000]], dtype=np.int32), r"label values 1\.\.70000: another encoding"),
        (np.array([[-1, 3]], dtype=np.int32), r"label values -1\.\.3: another encoding"),
    ],
)
def test_values_of_no_class_are_listed_with_counts(values: np.ndarray, listed: str) -> None:
    with pytest.raises(PictureError, match=listed):
        SEGNET.translate(Image.fromarray(values))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "F"])
def test_no_number_per_pixel_is_refused(mode: str) -> None:
    with pytest.raises(PictureError, match=f"{mode} label, one number per pixel expected"):
        SEGNET.translate(Image.new(mode, (3, 2)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colours_become_train_ids(mode: str) -> None:
    pixels = np.array([[[128, 0, 0], [0, 0, 192], [0, 0, 0]]], np.uint8)
    label = Image.fromarray(pixels)
    label = label.quantize(4) if mode == "P" else label.convert(mode)
    ids = COLOURS.train_ids(_saved(label))
    assert ids.tolist() == [[1, 4, 255]]


@pytest.mark.parametrize(("strays", "usable"), [(10, True), (11, False)])
def test_one_colour_in_a_hundred_may_be_of_no_class(strays: int, usable: bool) -> None:
    pixels = np.zeros((10, 100, 3), np.uint8)
    pixels[..., 0] = 128
    pixels[0, : strays - 1] = 127, 0, 3
    pixels[0, 50] = 9, 9, 9
    if usable:
        ids = COLOURS.translate(Image.fromarray(pixels))
        assert (ids == IGNORE).sum() == strays
        assert (ids == 1).sum() == 1000 - strays
    else:
        reason = r"1\.1% of the pixels have a colour of no class, most of them \(127, 0, 3\)"
        with pytest.raises(PictureError, match=reason):
            COLOURS.translate(Image.fromarray(pixels))


def test_two_colour_tables_do_not_mix() -> None:
    other = Colours("other", {(128, 0, 0): 7})
    label = Image.new("RGB", (2, 1), (128, 0, 0))
    assert COLOURS.translate(label).tolist() == [[1, 1]]
    assert other.translate(label).tolist() == [[7, 7]]


def test_numbers_are_no_colours() -> None:
    with pytest.raises(PictureError, match="L label, class colours expected"):
        COLOURS.translate(Image.new("L", (2, 2)))


@pytest.mark.parametrize("encoding", [SEGNET, COLOURS])
def test_encodings_travel_to_other_processes(encoding: Encoding) -> None:
    values = [[0, 1]] if encoding is SEGNET else [[[128, 0, 0], [0, 0, 192]]]
    data = encode_png(np.array(values, np.uint8))
    before = encoding.train_ids(data)
    sent = pickle.dumps(encoding)
    assert len(sent) < 2**17  # its lookup table must not go along: it may have 16 MiB
    np.testing.assert_array_equal(pickle.loads(sent).train_ids(data), before)


@needs_samples
def test_real_label_with_a_foreign_value() -> None:
    table = {v: v for v in (71, 72, 73, 75, 109, 129, 138, 142, 171, 179, 255)}
    numbers = Numbers("some", table)
    pitfalls = SAMPLES / "pitfalls"
    numbers.train_ids((pitfalls / "good_label.png").read_bytes())
    with pytest.raises(PictureError, match=r"200 \(\d+ pixels\)"):
        numbers.train_ids((pitfalls / "label_value_200.png").read_bytes())
    voc = Numbers("VOC", VOC.raw_to_train)
    voc.train_ids((pitfalls / "voc_palette.png").read_bytes())
    with pytest.raises(PictureError, match=r"75 \(\d+ pixels\), 147"):
        voc.train_ids((pitfalls / "voc_palette_as_luminance.png").read_bytes())
