"""Results as files, one a step: FOLDER/DEVICE/STEP.json, each whole or not there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from afdcd import environment
from afdcd.config import UserError
from benchmarks.owed_steps import Step

# What decides a figure. A commit of results or of documents leaves them as they are.
CODE = ("afdcd", "benchmarks", "tests", ":!benchmarks/results")

# In a process of its own: one that has touched a GPU holds memory there as long as it lives.
ASK = """
import json, sys, torch
from afdcd.bench.report import conditions
if sys.argv[1] == "cuda" and not torch.cuda.is_available():
    sys.exit(3)
print(json.dumps(conditions(torch.device(sys.argv[1]))))
"""


class Records:
    """The results of one device; `current` are those of the code that runs.

    Attributes:
        folder: of this device.
    """

    def __init__(self, results: Path, conditions: dict[str, Any], commit: str) -> None:
        device = re.sub(r"[^a-z0-9]+", "-", conditions["device_name"].lower()).strip("-")
        self.folder = results / (device or conditions["device"])
        self._told = {"commit": commit, **{k: conditions[k] for k in ("device_name", "torch")}}

    def current(self, steps: Sequence[Step]) -> dict[str, dict[str, Any]]:
        found = {step.name: self._read(step.name) for step in steps}
        return {
            name: record
            for name, record in found.items()
            if record is not None and record["commit"] == self._told["commit"]
        }

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Raises UserError where the folder cannot be written."""
        path = self._path(name)
        unfinished = path.with_suffix(".unfinished")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with unfinished.open("w") as file:
                json.dump({**self._told, **record}, file, indent=1)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; choose another --results") from None

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self._path(name)
        try:
            record = json.loads(path.read_text())
            return record if {"commit", "status", "values", "error"} <= record.keys() else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError):
            raise UserError(f"{path}: is no result; delete it to measure anew") from None

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def device_of(root: Path, *, tiny: bool) -> dict[str, Any]:
    """What is measured on: its name and torch's version.

    Raises:
        UserError: no GPU, and not `tiny`.
    """
    command = [sys.executable, "-c", ASK, "cpu" if tiny else "cuda"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode == 3:
        raise UserError("no GPU here; --tiny tries every step on the CPU")
    if done.returncode:
        raise UserError(f"torch does not work here: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def code_commit(root: Path) -> str:
    """The last commit that changed what is measured.

    Raises:
        UserError: it is not known, or the code is not that commit's.
    """
    if given := environment.git_commit():
        return given
    try:
        commit = _git(root, "log", "-1", "--format=%H", "--", *CODE)
        changed = _git(root, "status", "--porcelain", "-uno", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        raise UserError("the commit is not known here; set AFDCD_GIT_COMMIT") from None
    if changed:
        first = changed.splitlines()[0].split()[-1]
        raise UserError(f"{first}: not committed; commit it, or nobody can repeat the figures")
    return commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
