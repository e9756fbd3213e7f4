"""Text that people read: tables of aligned columns, and errors in one line."""

import codecs
import math
import re
from collections.abc import Collection, Sequence


def first_line(error: BaseException) -> str:
    """The first line of an error's text that is not blank; its type where there is none.

    Libraries put their cause there and go on for pages, or raise without a word.
    """
    lines = (line.strip() for line in str(error).splitlines())
    return next(filter(None, lines), type(error).__name__)


def percent(value: float | None) -> str:
    """A share in per cent; a dash where there is none, as for a class that never occurs."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.2f} %"


def byte_count(size: float) -> str:
    """`532 B`, `1.2 GB`: in powers of 1000, as disks are sold."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def shown(text: str) -> str:
    """A URI, or a text that holds some, without the user names and passwords in them."""
    return re.sub(r"(?<=://)[^/\s]*@", "", text)


def printable(text: object, most: int | None = None) -> str:
    """Somebody's path, name or text as it is printed and kept in files: one line of UTF-8.

    A file's name is bytes, which need be no UTF-8 (a zip from Windows) and may hold line breaks; a
    name in a file may steer a terminal. Such bytes and characters are spelled out: `stra\\xdfe.jpg`.

    Args:
        most: characters, if it is to be short; what is cut ends with three dots.
    """
    raw = str(text) if most is None else str(text)[: most + 1]  # no character becomes less than one
    clean = "".join(c if c.isprintable() else _spelled(c) for c in raw)
    return clean if most is None or len(clean) <= most else f"{clean[: most - 3]}..."


def _spelled(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that Python could not decode
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def is_utf8(path: str) -> bool:
    """Whether a name can be kept in a manifest or a shard; file systems allow others."""
    return not any("\udc80" <= character <= "\udcff" for character in path)


def decoded(data: bytes) -> str:
    """A text file that a person's system wrote: UTF-8 with or without a mark, or UTF-16 with one.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if marked else "utf-8-sig")


def table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: int = 0,
    rules: Collection[int] = (0,),
) -> str:
    """Lines of columns two spaces apart, each as wide as its widest cell.

    Args:
        numbers: how many columns, counted from the last, are aligned at their right side.
        rules: indices of the rows that a line of dashes stands above.
    """
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    words = len(widths) - numbers

    def line(cells: Sequence[str]) -> str:
        left = (cell.ljust(width) for cell, width in zip(cells, widths[:words], strict=False))
        right = (c.rjust(width) for c, width in zip(cells[words:], widths[words:], strict=True))
        return "  ".join([*left, *right]).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [line(titles)]
    for index, row in enumerate(rows):
        lines += [rule, line(row)] if index in rules else [line(row)]
    return "\n".join(lines)
