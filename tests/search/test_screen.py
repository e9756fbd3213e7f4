"""At a terminal: bars below the lines; plain lines where a terminal cannot or should not show them.

The programs run with a pseudo terminal as their output, whose every byte is looked at.
"""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import ROOT

# A study of two runs whose folders hold their pulses; what happens is fed by hand.
PROGRAM = """
import sys
from afdcd.output import accept_every_character, going_on_unread
from afdcd.search.progress import Progress
from afdcd.search.say import say
from afdcd.training import pulse
from afdcd.training.job import RunResult
from tests.examples import job, report, score
a, b = (job(f"trial {n} [bold]", folder=f"{sys.argv[1]}/{n}") for n in (1, 2))
def beat(iteration, **more):
    pulse.write(a.folder, pulse.Pulse(phase="training", iteration=iteration, iterations=4,
        images_per_second=41.0, loss=1.832,
        attempts=(pulse.Attempt(started=0.0, at=float(iteration), devices=1, device="cpu"),)))
now = 0.0
accept_every_character()
unread = going_on_unread()  # as a study does
unread.__enter__()
progress = Progress((score(0.3), "trial 9"), wanted=lambda: 4, threads=False,
    clock=lambda: now)
say("before")
progress.started(a)
progress.started(b)
progress.look(); beat(1); progress.look(); progress.tick()
say("said in between")
print("printed by others")
print("warned by others", file=sys.stderr)
progress.reported(a, report(2))
now = 20.0; beat(3); progress.look(); progress.tick()
progress.reported(a, report(4, 0.5))
progress.ended(a, RunResult("completed", report(4, 0.5)))
progress.ended(b, RunResult("lost", None, "no memory"))
progress.close()
say("after")
"""
LINES = [
    "before",
    "trial 1 [bold] afdcd starts (4 iterations)",
    "trial 2 [bold] afdcd starts (4 iterations)",
    "said in between",
    "printed by others",
    "trial 1 [bold] afdcd  iteration 2/4  mIoU 25.00 %  best 30.00 % (trial 9)  1.000 GPU-hours",
    "trial 1 [bold] afdcd  iteration 4/4  mIoU 50.00 %  best 50.00 % (trial 1 [bold] afdcd)  "
    "1.000 GPU-hours",
    "trial 1 [bold] afdcd completed   study 1/4  ETA 45:00",
    "trial 2 [bold] afdcd lost: no memory   study 1/4  ETA 45:00",
    "after",
]
NEWS = (
    "trial 1 [bold] afdcd  iteration 3/4  41 images/s  loss 1.832  ETA 15:00   "
    "trial 2 [bold] afdcd starting   study 0/4"
)
PLAIN = [*LINES[:6], NEWS, *LINES[6:]]  # where there are no bars there is news
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"  # the cursor


def at_terminal(folder: Path, program: str = PROGRAM, **variables: str) -> tuple[str, str]:
    """What a program writes to a terminal 100 columns wide, and to a file as its error stream."""
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "LC_ALL")}
    environment = {**known, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    keeper, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        env={**environment, "PYTHONIOENCODING": "utf-8", **variables},
        cwd=ROOT,
        text=True,
    )
    os.close(terminal)
    written = b""
    while piece := _read(keeper):
        written += piece
    _, errors = process.communicate(timeout=20)
    os.close(keeper)
    assert process.returncode == 0, errors
    return written.decode(), errors


def _read(keeper: int) -> bytes:
    try:
        return os.read(keeper, 1 << 16)
    except OSError:  # Linux's way to say that nobody writes any more
        return b""


def stripped(written: str) -> list[str]:
    """Lines without times of day, colours and movements of the cursor."""
    parts = re.split(r"\n|\x1b\[2K", written)  # the second wipes a line to write it anew
    plain = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", part) for part in parts]
    return [re.sub(r"^\[\d\d:\d\d:\d\d\] ", "", line).rstrip() for line in plain]


def left(written: str) -> list[str]:
    """What stands above the cursor in the end; a line that is too long for it is one all the same."""
    lines, row = [""], 0
    for step in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if step == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif step.endswith("A") and step.startswith("\x1b"):
            row -= int(step[2:-1])
        elif step == "\x1b[2K":
            lines[row] = ""
        elif step != "\r" and not step.startswith("\x1b"):
            lines[row] += step
    return [line.partition("] ")[2] if line.startswith("[") else line for line in lines[: row + 1]]


def test_bars_stand_below_the_lines_and_leave_nothing(tmp_path: Path) -> None:
    written, errors = at_terminal(tmp_path)
    found = stripped(written)
    assert left(written) == [*LINES, ""]
    bar = r"trial 1 \[bold\] afdcd .{20,} 1/4 +41 images/s +loss 1.832 +ETA 0:00"
    assert any(re.fullmatch(bar, line) for line in found)
    assert any(re.fullmatch(r"trial 2 \[bold\] afdcd .{20,} 0/4 +starting", line) for line in found)
    assert any(line == "best 30.00 % (trial 9)   1.000 GPU-hours   study 0/4" for line in found)
    assert written.count(HIDE) == written.count(SHOW) == 1
    assert errors == "warned by others\n"  # a file stays one


@pytest.mark.parametrize(
    "variables",
    [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "latin-1"}],
    ids=str,
)
def test_plain_lines_where_bars_are_not_wanted_or_cannot_be_shown(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    written, _ = at_terminal(tmp_path, **variables)
    assert stripped(written) == [*PLAIN, ""]
    assert "\x1b" not in written


def test_the_cursor_comes_back_where_nobody_closed(tmp_path: Path) -> None:
    written, _ = at_terminal(tmp_path, PROGRAM.partition("progress.close()")[0])
    assert written.count(HIDE) == written.count(SHOW) == 1


def test_a_pipe_gets_plain_lines_and_needs_no_rich(tmp_path: Path) -> None:
    program = f"{PROGRAM}\nassert 'rich' not in sys.modules and 'torch' not in sys.modules"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert stripped(done.stdout) == [*PLAIN, ""]
