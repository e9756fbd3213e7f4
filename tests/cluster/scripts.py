"""What the tests of scripts and of files for other machines share."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ROOT

__all__ = ["ROOT", "assert_no_secret", "shellcheck", "write_program"]
# A name that says secret, and a value; what a shell fills in begins with a dollar, what a person fills
# in has none.
_NAMED = re.compile(
    r"(?i)\b\w*(?:token|password|secret|access_key\w*)['\"]?[ \t]*[=:][ \t]*['\"]?([^\s'\"$#?]+)"
)
_LOOKS_LIKE_ONE = re.compile(r"AKIA[0-9A-Z]{16}|\b[0-9a-f]{32,}\b|BEGIN [A-Z ]*PRIVATE KEY")
_HARMLESS = ("token", "x", "-}")  # the last: a shell's `${TOKEN:-}`, which is empty


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


def shellcheck(script: Path) -> str:
    """What shellcheck says about a script; skips the test where there is none."""
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck: apt-get install shellcheck")
    return subprocess.run(
        ["shellcheck", "--shell=bash", str(script)], capture_output=True, text=True
    ).stdout


def assert_no_secret(file: Path) -> None:
    text = file.read_text()
    found = [value for value in _NAMED.findall(text) if value not in _HARMLESS]
    assert found == [], f"{file}: {found}"
    assert _LOOKS_LIKE_ONE.findall(text) == [], file
