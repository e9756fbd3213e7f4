"""The same study gone on with from the same moment, once for each thing that may happen there.

A study up to its hundredth call is the same for all that may disturb it there. So it is run once, and a
copy of this process, with all files that it has made, goes on with each disturbance. Where it ends
and the command is given again, nothing but the files outlives it: what came of the same files before
comes of them again, and is not run twice.
"""

import gc
import hashlib
import os
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tests.faults.boundary import modes
from tests.faults.world import World

Files = dict[Path, bytes | None]  # None: a folder
Trained = Counter[tuple[str, int]]


STORAGE, TEMPORARY = "storage", "tmp"  # below the root, which is all that a case may write to


class KnownError(BaseException):
    """What comes of these files has been seen, and was right."""


class Forks:
    """Disturbs the chosen calls of a world.

    Attributes:
        found: what went wrong, a text for each case.
        cases: how many there were.
        is_child: whether this process goes on with a disturbance.
    """

    def __init__(self, root: Path, world: World, chosen: Callable[[int], bool]) -> None:
        self._root, self._world, self._chosen = root, world, chosen
        self._known: dict[
            str, Trained
        ] = {}  # digest of the files -> what was trained from there on
        self._begun: dict[
            str, Trained
        ] = {}  # the same of this case -> what had been trained before
        self._pipe = 0
        self.found: list[str] = []
        self.cases = 0
        self.is_child = False

    def before(self, number: int) -> None:
        """Told the number of a call that is about to be made."""
        if self.is_child or not self._chosen(number):
            return
        files = _kept(self._root)
        for mode in modes(self._world.boundary.calls[-1]):
            if self._forked(number, mode):
                return
            _put_back(self._root, files)

    def again(self) -> None:
        """Told that the command is about to be given again."""
        assert self.is_child, self._world.said
        digest = _digest(_kept(self._root / STORAGE))
        if digest in self._known:
            self._world.cluster.trained += self._known[digest]
            raise KnownError
        self._begun[digest] = self._world.cluster.trained.copy()

    def end(self, found: list[str]) -> NoReturn:
        """Tell what this case has come to."""
        trained = self._world.cluster.trained
        known = {} if found else {key: trained - then for key, then in self._begun.items()}
        with os.fdopen(self._pipe, "wb") as pipe:
            pickle.dump((found, known), pipe)
        os._exit(0)

    def _forked(self, number: int, mode: str) -> bool:
        """Whether this is the process that goes on with the disturbance."""
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            gc.disable()  # it touches all memory, which would be copied, and this process ends soon
            os.close(ours)
            self.is_child, self._pipe = True, theirs
            self._world.boundary.at, self._world.boundary.mode = number, mode
            return True
        os.close(theirs)
        with os.fdopen(ours, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        found, known = pickle.loads(told) if told else (["it died"], {})
        self._known |= known
        self.cases += 1
        if found:
            call = self._world.boundary.calls[-1]
            self.found.append("\n  ".join([f"call {number} {mode}: {call}", *found]))
        return False


def _kept(root: Path) -> Files:
    return {path: path.read_bytes() if path.is_file() else None for path in root.rglob("*")}


def _digest(files: Files) -> str:
    digest = hashlib.blake2b()
    for path in sorted(files):
        content = files[path] or b""
        digest.update(f"{path} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _put_back(root: Path, files: Files) -> None:
    """In place: an open database is known by its file, and not by its name."""
    for path in root.rglob("*"):
        if path.is_file() and path not in files:
            path.unlink()
    for path, data in files.items():  # a folder comes before what is in it
        if data is None:
            path.mkdir(exist_ok=True)
            continue
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(data)
            file.truncate()
