"""Which way up a viewer shows a picture, and what reading it leaves out."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from afdcd.data.images import decode, to_rgb
from afdcd.data.viewed import notes, orientation, turned

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("turn", range(10))
def test_is_turned_as_pillow_turns_it(turn: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = _saved(Image.fromarray(PIXELS), kind, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    image = decode(data)
    shown = turned(to_rgb(image), orientation(image))
    np.testing.assert_array_equal(shown, np.asarray(expected.convert("RGB")))
    assert shown.flags.c_contiguous


def test_says_that_pages_and_frames_are_left_out() -> None:
    pages = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1])]
    for kind in ("TIFF", "PNG", "WEBP"):
        image = decode(_saved(pages[0], kind, save_all=True, append_images=pages[1:]))
        assert notes(image) == ("the first of several pages or frames is read",)
        assert notes(decode(_saved(pages[0], kind))) == ()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_says_that_transparency_is_dropped_where_there_is_any(mode: str) -> None:
    opaque = Image.fromarray(PIXELS).convert("RGBA")
    clear = opaque.copy()
    clear.putpixel((3, 3), (200, 10, 10, 0))
    modes = {"P": Image.Image.quantize}
    for image, said in ((opaque, ()), (clear, ("transparency is dropped",))):
        made = modes.get(mode, lambda picture: picture.convert(mode))(image)
        if mode == "P" and not said:
            made = Image.fromarray(PIXELS).quantize()
        found = notes(decode(_saved(made, "PNG")))
        assert tuple(note.partition(":")[0] for note in found) == said


def test_the_colour_under_transparency_is_read() -> None:
    clear = Image.new("RGBA", (4, 4), (200, 10, 10, 0))
    assert to_rgb(decode(_saved(clear, "PNG")))[0, 0].tolist() == [200, 10, 10]
