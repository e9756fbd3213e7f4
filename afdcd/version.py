"""Which code runs."""

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


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
