"""What a preparation found amiss, for the person who ran it: a file beside the shards, and its gist."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afdcd import storage
from afdcd.text import printable

NAME = "report.txt"
_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Report:
    """Attributes:
    root: the prepared data set, where the report is kept.
    folder: of the raw files.
    images: that were judged.
    offences: `file: reason: remedy` of each that is unusable; files are below `folder`.
    remarks: oddities that the reader copes with, counted.
    warnings: what may be wrong with the data set as a whole.
    """

    root: str
    folder: Path
    images: int
    offences: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        return storage.join(self.root, NAME)

    def write(self) -> None:
        sections = {
            f"{len(self.offences)} unusable files, whose pairs are left out": self._full(),
            "Warnings": self.warnings,
            "Remarks": self.remarks,
        }
        lines = [f"{printable(self.folder)}: {self.images} pairs judged"]
        for title, content in sections.items():
            lines += ["", f"{title}:", *(content or ["none"])]
        storage.write_bytes(self.uri, ("\n".join(lines) + "\n").encode())

    def brief(self) -> list[str]:
        """The first offences, and where the others are."""
        lines = self._full()
        more = len(lines) - _SHOWN
        return [*lines[:_SHOWN], *([f"and {more} more in {self.uri}"] if more > 0 else [])]

    def _full(self) -> Sequence[str]:
        return [f"{printable(self.folder)}/{offence}" for offence in self.offences]
