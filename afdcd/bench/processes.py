"""Import seconds of the processes of one real training run, read from Ray's own logs.

Python prints what each import takes where PYTHONPROFILEIMPORTTIME is set, and Ray keeps the output
of every process. These are seconds of the clock: other work on the machine lengthens them.
"""

import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from afdcd.config import UserError
from afdcd.environment import inherited

_IMPORT = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")
_NAMED = re.compile(r":actor_name:(\w+)")
ACTORS = {"run_job": "trial", "TrainController": "controller", "RayTrainWorker": "worker"}
CONFIG = """\
data: {{dataset: synthetic, crop: [64, 64], root: {root}}}
pair:
  student: {{head: pspnet, encoder: "timm:lcnet_050"}}
training: {{iterations: 1, validate_every: 1, batch: 2}}
"""


@dataclass
class Process:
    """One process: seconds of importing, and the modules it has."""

    seconds: float = 0.0
    modules: set[str] = field(default_factory=set)


@dataclass
class Started:
    """A run of one iteration, validated: seconds from its start to the report of that iteration."""

    seconds: float
    processes: dict[str, Process]


def start_a_run(code: Path, data: str) -> Started:
    """Run `afdcd.train` of the checkout `code` for one iteration on the prepared set `data`.

    Raises:
        UserError: the run did not reach its end; what it printed.
    """
    with tempfile.TemporaryDirectory(prefix="afdcd") as folder:  # Ray wants a short path
        config = Path(folder) / "one.yaml"
        config.write_text(CONFIG.format(root=data))
        environment = inherited(
            PYTHONPATH=str(code),
            PYTHONPROFILEIMPORTTIME="1",
            AFDCD_STORAGE=f"{folder}/runs",
            RAY_TMPDIR=folder,
        )
        command = [sys.executable, "-u", "-m", "afdcd.train", str(config)]
        seconds = _watch(command, environment, code)
        return Started(seconds, _processes(Path(folder)))


def _watch(command: list[str], environment: dict[str, str], code: Path) -> float:
    run = subprocess.Popen(
        command,
        env=environment,
        cwd=code,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert run.stdout is not None
    printed, begin, end = "", 0.0, 0.0
    for line in run.stdout:
        printed += "" if line.startswith("import time:") else line
        if " starts " in line:
            begin = time.monotonic()
        if " iteration 1/1 " in line:
            end = time.monotonic()
    if run.wait() or not begin or not end:
        raise UserError(f"{' '.join(command)} in {code} did not reach its end:\n{printed}")
    return end - begin


def _processes(folder: Path) -> dict[str, Process]:
    found: dict[str, Process] = {}
    for output in folder.glob("ray/session_2*/logs/worker-*.out"):
        named = _NAMED.findall(output.read_text(errors="replace"))
        profile = output.with_suffix(".err")
        for name in (ACTORS[actor] for actor in named if actor in ACTORS):
            found[name] = parse(profile.read_text(errors="replace"))
    return found


def parse(profile: str) -> Process:
    """What `python -X importtime` printed, as seconds in all and names."""
    lines = _IMPORT.findall(profile)
    return Process(sum(int(own) for own, _ in lines) / 1e6, {name for _, name in lines})
