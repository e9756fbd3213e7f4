"""Which code runs."""

import hashlib
import subprocess
from pathlib import Path

from afdcd import environment


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


def code_sha256() -> str:
    """Of the code that runs here, whether git knows it or not; without what only measures it."""
    package, digest = Path(__file__).parent, hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        name = file.relative_to(package).as_posix()
        if not name.startswith("bench/"):
            digest.update(f"{name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
