"""`service`: how long a person waits for words: what each verb and each process of a trial imports."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import afdcd
from afdcd.bench.processes import ACTORS, Started, start_a_run
from afdcd.bench.report import Report, conditions, heading, table
from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import inherited
from afdcd.paths import expanded_path

if TYPE_CHECKING:
    import torch

VERBS = ("prepare", "tune", "train", "evaluate", "predict")
SPACE = "search_spaces/cityscapes.yaml"
SEEN = ("torch", "mlflow", "optuna")  # modules that are dear, or none of a worker's business
Call = Callable[[], float]


@dataclass(frozen=True)
class Side:
    """A checkout of the repository whose code is measured."""

    name: str
    code: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--against", type=expanded_path, help="another checkout, measured in turn")
    parser.add_argument("--repeats", type=int, default=3, help="default: 3, of which the median")
    parser.add_argument("--verbs-only", action="store_true", help="do not start a training run")
    parser.add_argument("--trials", type=int, default=5000, help="of the study; default: 5000")


def measure(args: argparse.Namespace, device: "torch.device") -> Report:
    """Raises UserError: no checkout there, or a run that fails."""
    sides = [Side("here", Path(afdcd.__file__).parents[1])]
    if args.against:
        sides.append(Side("against", args.against.resolve()))
    for side in sides:
        if not (side.code / SPACE).is_file():
            raise UserError(f"{side.code}: no checkout of afdcd; it has no {SPACE}")
    if args.repeats < 1:
        raise UserError(f"--repeats {args.repeats}: must be at least 1")
    verbs = _verbs(sides, args.repeats)
    runs = [] if args.verbs_only else _runs(sides, args.repeats)
    studies = [] if args.verbs_only else _studies(sides, args.trials, args.repeats)
    found = conditions(device)
    text = [heading("Processor seconds of a command", found), _table(sides, verbs)]
    if runs:
        text += ["Seconds of the clock in a run of one worker", _table(sides, runs)]
        text += ["Seconds of the clock in a study's driver", _table(sides, studies)]
    rows = {"verbs": verbs, "runs": runs, "studies": studies}
    return Report("\n\n".join(text), {"command": "service", **rows, **found})


def _verbs(sides: Sequence[Side], repeats: int) -> list[dict[str, Any]]:
    commands = {f"{verb} --help": [f"afdcd.{verb}", "--help"] for verb in VERBS}
    commands["tune, a wrong key"] = ["afdcd.tune", SPACE, "data.root=x", "training.lrr=1"]
    commands["tune, a missing file"] = ["afdcd.tune", "missing.yaml"]
    commands["tune --check"] = ["afdcd.tune", "--check", SPACE, "data.root=x"]
    return [
        _in_turn(what, {side.name: _cpu_call(side, words) for side in sides}, repeats)
        for what, words in commands.items()
    ]


def _cpu_call(side: Side, words: list[str]) -> Call:
    def call() -> float:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            env=inherited(PYTHONPATH=str(side.code)),
            cwd=side.code,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0  # it is reaped: Popen need not wait
        return usage.ru_utime + usage.ru_stime

    return call


def _in_turn(what: str, calls: dict[str, Call], repeats: int) -> dict[str, Any]:
    """The sides take turns, so that a slow minute slows both."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            seconds[name].append(call())
    return {"what": what, "seconds": {name: median(times) for name, times in seconds.items()}}


def _runs(sides: Sequence[Side], repeats: int) -> list[dict[str, Any]]:
    found: dict[str, list[Started]] = {side.name: [] for side in sides}
    with tempfile.TemporaryDirectory() as data:
        prepare_synthetic(data, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
        for _ in range(repeats):
            for side in sides:
                found[side.name].append(start_a_run(side.code, data))
    rows = [
        {
            "what": "from a run's start to its first iteration",
            "seconds": {name: median(run.seconds for run in runs) for name, runs in found.items()},
        }
    ]
    return rows + [_imports(process, found) for process in ACTORS.values()]


def _studies(sides: Sequence[Side], trials: int, repeats: int) -> list[dict[str, Any]]:
    """What the driver of a study with so many trials waits for its own book-keeping, on SQLite."""
    found: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            with tempfile.TemporaryDirectory() as folder:
                found[side.name].append(_study(side, trials, f"sqlite:///{folder}/study.db"))
    names = {
        "opening": f"opening a study of {trials} trials",
        "next": "the next proposal, without its sampler",
        "report": "a report, and whether the run is paused",
    }
    return [
        {"what": what, "seconds": {n: median(one[key] for one in found[n]) for n in found}}
        for key, what in names.items()
    ]


def _study(side: Side, trials: int, url: str) -> dict[str, float]:
    script = Path(__file__).with_name("study_side.py")
    done = subprocess.run(
        [sys.executable, str(script), str(trials), url],
        env=inherited(PYTHONPATH=str(side.code)),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise UserError(f"{side.code}: its study cannot be measured: {last}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _imports(process: str, found: dict[str, list[Started]]) -> dict[str, Any]:
    per_side = {name: [run.processes[process] for run in runs] for name, runs in found.items()}
    return {
        "what": f"imports of the {process}",
        "seconds": {name: median(p.seconds for p in ps) for name, ps in per_side.items()},
        "has": {name: [m for m in SEEN if m in ps[0].modules] for name, ps in per_side.items()},
    }


def _shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.1f} ms"


def _table(sides: Sequence[Side], rows: Sequence[dict[str, Any]]) -> str:
    names = [side.name for side in sides]
    ratio = ["here / against"] if len(names) > 1 else []
    cells = []
    for row in rows:
        seconds = [row["seconds"][name] for name in names]
        has = ", ".join(row.get("has", {}).get("here", []))
        share = [f"{seconds[0] / seconds[1]:.2f}"] if ratio else []
        cells.append((row["what"], *(_shown(s) for s in seconds), *share, has))
    return table(("", *names, *ratio, "has"), cells)
