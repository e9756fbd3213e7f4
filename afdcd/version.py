"""Which code runs."""

import hashlib
import platform
import subprocess
from functools import cache
from pathlib import Path

from afdcd import environment
from afdcd.config import UserError
from afdcd.tasks.names import code_of_others


def git_commit() -> str:
    """The commit of the code that runs, `+changes` if it differs; AFDCD_GIT_COMMIT in an image."""
    if given := environment.git_commit():
        return given
    here = Path(__file__).parent
    try:
        # An installed copy may lie inside a repository that is not ours.
        _git(here, "ls-files", "--error-unmatch", "version.py")
        commit = _git(here, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(here, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


@cache
def code_sha256() -> str:
    """Of the code that runs here, whether git knows it or not; without what only measures it.

    Packages that bring a task are part of it.

    As it was when first asked for: a file that is changed later is not what this process has loaded.
    """
    package, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith("bench/"):
            digest.update(f"{name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    digest.update(code_of_others().encode())
    return digest.hexdigest()


class OtherCodeError(UserError):
    """This machine has another afdcd than the driver: what it computed would be no part of the study."""


def check_code(wanted: str) -> None:
    """Refuse to compute for a driver whose `code_sha256` is another; empty is any.

    Raises:
        OtherCodeError
    """
    if wanted and (found := code_sha256()) != wanted:
        raise OtherCodeError(
            f"{platform.node()} has another afdcd ({found[:12]}) than the driver ({wanted[:12]}), or its "
            "files were changed since the driver began: install the same, or submit with --working-dir"
        )


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
