"""Which pictures a person means by files and folders, and where the result of each will lie."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from afdcd.config import UserError
from afdcd.data.formats import SUFFIXES, is_left_out, is_picture


@dataclass
class Found:
    """Attributes:
    stems: pictures to read, each with the path under `out`, without suffix, of what it becomes.
    passed_over: how many files have a suffix that is no picture's, by suffix.
    closed: folders that cannot be listed, with the reason.
    """

    stems: dict[Path, Path] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    closed: dict[Path, str] = field(default_factory=dict)

    @property
    def others(self) -> str:
        """The files passed over, for a person: `3 .gif, 1 without suffix`."""
        return ", ".join(f"{n} {suffix}" for suffix, n in sorted(self.passed_over.items()))


def find_pictures(given: Sequence[Path], out: Path, endings: Sequence[str]) -> Found:
    """The pictures among `given`, and in the folders among them.

    Sub-folders are kept below the deepest folder that all that is given shares. Pictures that
    differ in nothing but the suffix keep it: `a.jpg.png`, `a.png.png`. An `out` inside a folder
    is not searched, so that a second run does not label the results of the first.

    Raises:
        UserError: no picture, or a result that would lie among or upon the pictures.
    """
    out, found = out.resolve(), Found()
    sources = {file: shown for path in given for file, shown in _search(path, out, found)}
    if not sources and not found.closed:
        searched = ", ".join(str(path) for path in given)
        others = f"; passed over: {found.others}" if found.passed_over else ""
        raise UserError(
            f"{searched}: no pictures found; expected {', '.join(SUFFIXES)} files{others}"
        )
    folders = [path.resolve() for path in given if path.is_dir()]
    base = os.path.commonpath(
        [*folders, *(path.parent.resolve() for path in given if not path.is_dir())]
    )
    twins = Counter(file.with_suffix("") for file in sources)
    stems = {
        file: (file if twins[file.with_suffix("")] > 1 else file.with_suffix("")).relative_to(base)
        for file in sources
    }
    _keep_apart(stems, out, endings, searched_again=[f for f in folders if f not in out.parents])
    found.stems = {sources[file]: stem for file, stem in stems.items()}
    return found


def targets(out: Path, stem: Path, endings: Sequence[str]) -> list[Path]:
    """The files that become of a picture, one for each ending that its task draws."""
    return [out / f"{stem}{ending}" for ending in endings]


def _search(path: Path, out: Path, found: Found) -> Iterator[tuple[Path, Path]]:
    """Absolute path, and path as the person would write it, of each picture in `path`.

    The absolute one keeps the names of links, so that results lie where a person sees the picture.
    """
    if not path.is_dir():
        yield path.parent.resolve() / path.name, path
        return
    folder = path.resolve()
    for file in sorted(_files(folder, out, found)):
        yield file, path / file.relative_to(folder)


def _files(folder: Path, out: Path, found: Found) -> Iterator[Path]:
    """Pictures in a folder and below, each folder once: links may lead back to where they lie.

    Folders that are no links come first, so that their files keep their own paths.
    """
    folders, links, seen = [folder], list[Path](), set[Path]()
    while folders or links:
        here = folders.pop() if folders else links.pop(0)
        real = here.resolve()
        if real in seen or _is_result(real, folder, out):
            continue
        seen.add(real)
        try:
            entries = sorted(here.iterdir())
        except OSError as error:
            found.closed[here] = error.strerror or "no reason given"
            continue
        for entry in entries:
            if is_left_out(entry.name):
                continue
            if entry.is_dir():
                (links if entry.is_symlink() else folders).append(entry)
            elif not is_picture(entry.name):
                found.passed_over[entry.suffix.lower() or "without suffix"] += 1
            elif entry.is_file() or entry.is_symlink():  # a link may be broken; no pipe, no socket
                yield entry


def _is_result(real: Path, searched: Path, out: Path) -> bool:
    """Whether a folder is `out` or in it, unless a person asks for one in `out` to be searched."""
    return out in (real, *real.parents) and out not in (searched, *searched.parents)


def _keep_apart(
    stems: Mapping[Path, Path], out: Path, endings: Sequence[str], searched_again: Sequence[Path]
) -> None:
    taken = set(stems)
    for stem in stems.values():
        for target in targets(out, stem, endings):
            if target in taken or any(folder in target.parents for folder in searched_again):
                raise UserError(f"{target} would lie among the pictures; choose another --out")
            taken.add(target)
