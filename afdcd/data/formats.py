"""Which files are pictures, by their names; nothing here imports more than Python's own modules."""

from pathlib import PurePath

# A closed list, with the suffixes that each goes by: some of Pillow's other readers start programs
# (EPS) or are rarely exercised.
FORMATS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}
SUFFIXES = tuple(sorted(suffix for of_format in FORMATS.values() for suffix in of_format))

# What systems leave among a person's files: unpacking on a Mac, looking at a folder on Windows.
_LEFT_BEHIND = ("__macosx", "thumbs.db", "desktop.ini")


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture; what it holds is not looked at."""
    return PurePath(name).suffix.lower() in SUFFIXES


def is_left_out(name: str) -> bool:
    """Whether no listing of a folder shows a file or folder of this name: it is hidden, or litter.

    `._street.jpg`, which a Mac leaves beside each picture, and `.ipynb_checkpoints` are hidden.
    """
    return name.startswith(".") or name.lower() in _LEFT_BEHIND
