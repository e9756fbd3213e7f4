"""`gpu_tests`: the tests that only a GPU can run, and those of kernels, which are interpreted without one."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import Report, conditions, heading
from afdcd.cli import run
from afdcd.config import UserError

ROOT = Path(__file__).parents[1]
FILES = (  # tests/benchmarks/test_owed.py sees to it that none is missing
    "tests/data/train/test_to_device.py",
    "tests/training/test_learner.py",
    "tests/losses/test_contrast_triton.py",
    "tests/distillers/test_masked_conv.py",
    "tests/distillers/test_winograd.py",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="default: all that need a GPU")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "junit.xml")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-o",
            "timeout=240",
            f"--junitxml={written}",
        ]
        done = subprocess.run(
            [*command, *(args.files or FILES)], cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode not in (0, 1):  # 1: tests failed, which is what was asked
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise UserError(f"pytest ended with status {done.returncode}: {''.join(last)}")
        outcomes = outcomes_of(written)
    found = conditions(device)
    values = {"command": "gpu_tests", **outcomes, **found}
    text = [heading("Tests that need a GPU", found), _counts(outcomes)]
    text += [f"{kind}: {name}" for kind in ("failed", "skipped") for name in outcomes[kind]]
    if outcomes["failed"]:
        text.append(done.stdout[-4000:])
    return Report("\n".join(text), values)


def outcomes_of(junit: Path) -> dict[str, Any]:
    """How many tests passed, and which did not, by pytest's own record."""
    found: dict[str, Any] = {"passed": 0, "failed": [], "skipped": []}
    for case in ElementTree.parse(junit).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            found["failed"].append(name)
        elif case.find("skipped") is not None:
            found["skipped"].append(name)
        else:
            found["passed"] += 1
    return found


def _counts(outcomes: dict[str, Any]) -> str:
    failed, skipped = len(outcomes["failed"]), len(outcomes["skipped"])
    return f"{outcomes['passed']} passed, {failed} failed, {skipped} skipped"


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
