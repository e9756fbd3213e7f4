"""What a file is that is no picture we read, told by its first bytes: the name, and the remedy.

The signatures are those of the formats' own specifications.
"""

CONVERT = "convert it to PNG or JPEG"
TAKE_FRAMES = "take pictures out of it first, as ffmpeg does"
UNPACK = "unpack it first"
FETCH = "fetch it again"

_TEXT_READ = 2048  # bytes: XML may hold a licence before its first element

# Where in the file, what stands there, what it is, what to do.
_SIGNATURES = (
    (0, b"version https://git-lfs", "git-LFS pointer", "run `git lfs pull` at its source"),
    (0, b"/annex/objects/", "git-annex pointer", "run `git annex get` at its source"),
    (0, b"GIF8", "GIF", CONVERT),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000", CONVERT),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", CONVERT),
    (0, b"\0\0\0\x0cJXL ", "JPEG XL", CONVERT),
    (0, b"\xff\x0a", "JPEG XL", CONVERT),
    (0, b"8BPS", "Photoshop file", CONVERT),
    (0, b"gimp xcf", "GIMP file", CONVERT),
    (0, b"\x76\x2f\x31\x01", "OpenEXR file", CONVERT),
    (0, b"#?RADIANCE", "Radiance HDR file", CONVERT),
    (0, b"DDS ", "DirectDraw surface", CONVERT),
    (0, b"\0\0\1\0", "icon", CONVERT),
    (0, b"qoif", "QOI file", CONVERT),
    (0, b"P5", "PGM", CONVERT),
    (0, b"P6", "PPM", CONVERT),
    (0, b"%!PS", "PostScript file", CONVERT),
    (0, b"%PDF", "PDF", CONVERT),
    (128, b"DICM", "DICOM file", CONVERT),
    (0, b"\x93NUMPY", "NumPy array", CONVERT),
    (0, b"\x89HDF", "HDF5 file", CONVERT),
    (8, b"AVI ", "AVI video", TAKE_FRAMES),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM video", TAKE_FRAMES),
    (0, b"\0\0\1\xba", "MPEG video", TAKE_FRAMES),
    (0, b"\x1f\x8b", "gzip file", UNPACK),
    (0, b"PK\3\4", "zip archive", UNPACK),
    (0, b"BZh", "bzip2 file", UNPACK),
    (0, b"\xfd7zXZ", "xz file", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "Zstandard file", UNPACK),
    (0, b"7z\xbc\xaf", "7z archive", UNPACK),
    (0, b"Rar!", "RAR archive", UNPACK),
    (257, b"ustar", "tar archive", UNPACK),
    (0, b"\0\5\x16\7", "a Mac's notes on another file", "leave it out"),
    # Of the formats that we do read: these are asked about only after reading has failed.
    (0, b"\x89PNG", "truncated or damaged PNG", FETCH),
    (0, b"\xff\xd8", "truncated or damaged JPEG", FETCH),
    (8, b"WEBP", "truncated or damaged WEBP", FETCH),
    (0, b"BM", "damaged BMP, or one of a rare kind", CONVERT),
    (0, b"II", "damaged TIFF, or one of a kind that is not read", CONVERT),
    (0, b"MM\0", "damaged TIFF, or one of a kind that is not read", CONVERT),
)

# Brands of the ISO base media container, which holds pictures and videos alike; others are videos.
_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"hevc", b"mif1", b"msf1"), "HEIC"),
    b"crx ": "raw photograph (CR3)",
}


def foreign(data: bytes) -> tuple[str, str] | None:
    """What `data` is, and what to do about it; None where its first bytes say nothing."""
    if data[4:8] == b"ftyp":
        name = _BRANDS.get(data[8:12])
        return (name, CONVERT) if name else ("MP4 or QuickTime video", TAKE_FRAMES)
    for start, signature, name, remedy in _SIGNATURES:
        if data.startswith(signature, start):
            return name, remedy
    return _markup(data[:_TEXT_READ].removeprefix(b"\xef\xbb\xbf").lstrip().lower())


def _markup(text: bytes) -> tuple[str, str] | None:
    if not text.startswith(b"<"):
        return None
    if b"<svg" in text:
        return "SVG", CONVERT
    if text.startswith((b"<!doctype", b"<html")):
        return "HTML page", "the download needs a login; fetch again"
    return "XML file", FETCH
