"""A file that is no picture is called what it is, whatever its name says."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from afdcd.data.foreign import foreign
from afdcd.data.images import PictureError, decode


def _saved(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind)
    return stream.getvalue()


def _tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    return stream.getvalue()


def _array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "remedy"),
    [
        (_saved("GIF"), "GIF", "convert it to PNG"),
        (_saved("AVIF"), "AVIF", "convert it to PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC", "convert it to PNG"),
        (_saved("JPEG2000"), "JPEG 2000", "convert it to PNG"),
        (_saved("ICO"), "icon", "convert it to PNG"),
        (_saved("PPM"), "PPM", "convert it to PNG"),
        (_saved("EPS"), "PostScript", "convert it to PNG"),
        (_saved("PDF"), "PDF", "convert it to PNG"),
        (_array(), "NumPy array", "convert it to PNG"),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- x --><SVG width="9">', "SVG", "convert it"),
        (b"<!DOCTYPE svg PUBLIC><svg/>", "SVG", "convert it to PNG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "MP4", "ffmpeg"),
        (b"RIFF\0\0\0\0AVI LIST", "AVI", "ffmpeg"),
        (gzip.compress(_saved("PNG")), "gzip", "unpack"),
        (_tar(), "tar", "unpack"),
        (b"\n <html><body>Sign in", "HTML page", "login"),
        (b"<?xml version='1.0'?><Error/>", "XML", "fetch"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "Mac", "leave it out"),
        (_saved("PNG")[:20], "damaged PNG", "fetch"),
        (_saved("TIFF")[:20], "TIFF", "convert"),
    ],
)
def test_is_named_with_what_to_do(data: bytes, name: str, remedy: str) -> None:
    with pytest.raises(PictureError, match=f"{name}.*: .*{remedy}") as error:
        decode(data)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"plain text", b"\0" * 300, b"", b"<"])
def test_what_no_signature_knows(data: bytes) -> None:
    assert foreign(data) in (None, ("XML file", "fetch it again"))
