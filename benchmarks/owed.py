"""`owed`: measures the figures that are owed for this device, those of most worth first.

Each step is a command of its own, a few minutes at most, whose result is a file. The same command goes
on where it was cut off: it leaves out what this code has already measured on this device.
"""

import argparse
import ctypes
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import psutil

from afdcd.cli import run
from afdcd.config import UserError
from afdcd.text import table
from benchmarks.owed_steps import STEPS, Step
from benchmarks.records import Records, code_commit, device_of

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PATIENCE = (
    3  # times the expected minutes, and two more: then a step hangs, and the next one goes on
)
TAIL = 2000  # characters of what a failed step printed


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    steps = chosen(args.steps)
    if args.list:
        print(_listed(steps))
        return 0
    if args.minutes is not None and args.minutes <= 0:
        raise UserError(f"--minutes {args.minutes:g}: must be more than 0")
    conditions = device_of(ROOT, tiny=args.tiny)
    if args.tiny:
        commit, results = "tiny", args.results or Path(tempfile.mkdtemp(prefix="owed-tiny-"))
    else:
        commit, results = code_commit(ROOT), args.results or RESULTS
    records = Records(results, conditions, commit)
    print(f"{conditions['device_name']}, torch {conditions['torch']}, commit {commit}")
    print(f"results: {records.folder}", flush=True)
    pay(steps, records, Runner(args.tiny), minutes=args.minutes)
    print("\n" + summary(steps, records))
    return 1 if any(found["status"] != "ok" for found in records.current(steps).values()) else 0


def chosen(names: Sequence[str]) -> list[Step]:
    """Steps by name, in order of worth.

    Raises:
        UserError: no such step.
    """
    known = [step.name for step in STEPS]
    if unknown := [name for name in names if name not in known]:
        raise UserError(f"no step {unknown[0]!r}; choose from {', '.join(known)}")
    return [step for step in STEPS if not names or step.name in names]


@dataclass(frozen=True)
class Outcome:
    """What became of a command: `values` are None where it failed, and `error` says how."""

    command: str
    values: dict[str, Any] | None
    error: str = ""


@dataclass(frozen=True)
class Runner:
    """Runs a step's command in a process of its own, and reads its last line as JSON."""

    tiny: bool

    def command(self, step: Step) -> list[str]:
        return [sys.executable, *step.arguments(tiny=self.tiny)]

    def limit(self, step: Step) -> float:
        """Seconds after which a step hangs. A CPU that others use is no measure of that."""
        return 3600 if self.tiny else 60 * (PATIENCE * step.minutes + 2)

    def __call__(self, step: Step) -> Outcome:
        told = " ".join(["python", *self.command(step)[1:]])
        process = subprocess.Popen(
            self.command(step),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_die_with_parent,
        )
        try:
            printed, errors = process.communicate(timeout=self.limit(step))
        except subprocess.TimeoutExpired:
            return Outcome(told, None, f"no result after {self.limit(step) / 60:.0f} minutes")
        finally:  # Ctrl-C too: what is measured must not go on beside the next run
            _end(process)
        if process.returncode:
            return Outcome(told, None, (errors or printed)[-TAIL:])
        try:
            return Outcome(told, json.loads(printed.rstrip().rpartition("\n")[2]))
        except ValueError:
            return Outcome(told, None, f"its last line is no JSON: {printed[-TAIL:]}")


def _end(process: subprocess.Popen[str]) -> None:
    """With all that it started: a loader process would go on, and keep the pipe open."""
    if process.poll() is not None:
        return
    for child in psutil.Process(process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.kill()
    process.communicate()


def _die_with_parent() -> None:
    """Linux ends the process as soon as its parent is killed, whom nothing else would outlive."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def pay(
    steps: Sequence[Step],
    records: Records,
    runner: Callable[[Step], Outcome],
    *,
    minutes: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run what has no result yet, then what failed; start nothing that would not end in `minutes`."""
    started, present = clock(), records.current(steps)
    for step in steps:
        if step.name in present and present[step.name]["status"] == "ok":
            print(f"{step.name}: there already: {_line(step, present[step.name])}", flush=True)
    for step in sorted(
        (step for step in steps if present.get(step.name, {}).get("status") != "ok"),
        key=lambda step: step.name in present,  # a step that failed must not hold up the others
    ):
        left = None if minutes is None else minutes - (clock() - started) / 60
        if left is not None and left < step.minutes:
            print(f"{step.name}: not begun: needs {step.minutes:g} minutes, {left:.1f} are left")
            continue
        began = clock()
        outcome = runner(step)
        record = {
            "step": step.name,
            "status": "ok" if outcome.values is not None else "failed",
            "command": outcome.command,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "minutes": round((clock() - began) / 60, 2),
            "values": outcome.values,
            "error": outcome.error,
        }
        records.write(step.name, record)
        print(f"{step.name}: {record['minutes']:.1f} min: {_line(step, record)}", flush=True)


def summary(steps: Sequence[Step], records: Records) -> str:
    present = records.current(steps)
    rows = [
        (step.name, step.pays, _line(step, present[step.name]) if step.name in present else "owed")
        for step in steps
    ]
    text = table(("step", "what it pays", "result"), rows)
    seeds = [
        record["values"]["miou"]["difference"]
        for name, record in present.items()
        if name.startswith("curve-") and record["status"] == "ok"
    ]
    if len(seeds) > 1:
        error = stdev(seeds) / len(seeds) ** 0.5
        text += (
            f"\n\nmIoU, ours - official, over {len(seeds)} seeds: {100 * mean(seeds):+.2f} points, "
            f"standard error {100 * error:.2f}"
        )
    return text


def _line(step: Step, record: Mapping[str, Any]) -> str:
    if record["status"] != "ok":
        last = record["error"].strip().splitlines()[-1:] or ["no word of why"]
        return f"FAILED: {last[0][:160]}"
    return step.shown(record["values"])


def _listed(steps: Sequence[Step]) -> str:
    rows = [(step.name, step.pays, f"{step.minutes:g}") for step in steps]
    total = sum(step.minutes for step in steps)
    return table(("step", "what it pays", "minutes"), rows, numbers=1) + f"\n\n{total:g} minutes"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/gpu.sh",
        description="Measure what is owed for this GPU; the same command goes on where it ended.",
    )
    parser.add_argument("steps", nargs="*", metavar="STEP", help="default: all, see --list")
    parser.add_argument("--list", action="store_true", help="name the steps and their minutes")
    parser.add_argument("--tiny", action="store_true", help="try all steps on the CPU, very small")
    parser.add_argument(
        "--minutes", type=float, help="begin no step that is not expected to end in this time"
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="default: benchmarks/results; --tiny: a new one",
    )
    return parser


if __name__ == "__main__":
    signal.signal(
        signal.SIGTERM, lambda number, frame: sys.exit(128 + number)
    )  # ends the step, too
    sys.exit(run(main))
