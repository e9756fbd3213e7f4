"""A stand-in for Slurm: an allocation of hosts, and programs `srun` and `scontrol` that act on them.

A program on a host sees only that host. So `srun` asks this process, over a socket in a folder that
every host sees, to start its command on all of them, as the real one asks Slurm's daemon.
"""

import contextlib
import json
import os
import secrets
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.cluster.hosts import Host

# srun: options first, then the command. Told to end, it tells all tasks. It ends as the worst of them.
_SRUN = """#!{python}
import json, os, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({socket!r})
signal.signal(signal.SIGTERM, lambda *_: server.sendall(b"TERM\\n"))
command = [word for word in sys.argv[1:] if not word.startswith("--")]
server.sendall(json.dumps({{"command": command, "environment": dict(os.environ)}}).encode() + b"\\n")
sys.exit(int(server.makefile().readline()))
"""
_SCONTROL = """#!/usr/bin/env bash
echo "$*" >> {notes}
"""


class Allocation:
    """The hosts that a job has, one CPU on each.

    Attributes:
        programs: the folder of `srun` and `scontrol`.
        asked: what `scontrol` was asked to do.
    """

    def __init__(self, folder: Path, machines: list[Host]) -> None:
        self._folder, self.hosts = folder, machines
        self.programs, self.socket = folder / "slurm", str(folder / "slurmd")
        self._notes = folder / "scontrol"
        self.programs.mkdir()
        _write(self.programs / "srun", _SRUN.format(python=sys.executable, socket=self.socket))
        _write(self.programs / "scontrol", _SCONTROL.format(notes=self._notes))

    @property
    def asked(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []

    def batch(self, script: Path, *words: str, **environment: str) -> "Batch":
        """Run a script on the first host, as `sbatch` has it run."""
        given = {
            **os.environ,
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "4711",
            "SLURM_JOB_NUM_NODES": str(len(self.hosts)),
            "SLURM_CPUS_PER_TASK": "1",
        }
        log = self._folder / f"job-{secrets.token_hex(3)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.hosts[0].enter(["bash", script, *words]),
                env=given | environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return Batch(process, log)

    def run(self, request: dict[str, Any], orders: Any) -> int:
        """What srun does; `orders` are lines that may say TERM. The worst exit status."""
        tasks = []
        for number, host in enumerate(self.hosts):
            told = {"SLURM_NODEID": str(number), "SLURM_CPUS_ON_NODE": "1"}
            line = host.enter(request["command"])
            tasks.append(
                subprocess.Popen(
                    line,
                    env=request["environment"] | told,
                    stdout=(self._folder / f"node-{number}.log").open("ab"),
                    stderr=subprocess.STDOUT,
                )
            )
        threading.Thread(target=_obey, args=(orders, tasks), daemon=True).start()
        return max(abs(task.wait()) for task in tasks)


class Batch:
    """A batch script on its way."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process, self._log = process, log

    def tell(self, number: signal.Signals) -> None:
        tell(self.process, number)

    def printed(self) -> str:
        return self._log.read_text(errors="replace")


@contextmanager
def allocation(folder: Path, machines: list[Host]) -> Iterator[Allocation]:
    made = Allocation(folder, machines)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            status = made.run(json.loads(self.rfile.readline()), self.rfile)
            with contextlib.suppress(OSError):  # srun was killed
                self.wfile.write(f"{status}\n".encode())

    with socketserver.ThreadingUnixStreamServer(made.socket, Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


def tell(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """Send a signal to what was started on a host: the child of the program that went there."""
    for child in psutil.Process(process.pid).children():
        child.send_signal(number)


def _obey(orders: Any, tasks: "list[subprocess.Popen[bytes]]") -> None:
    """End all tasks when told to, or when srun is gone."""
    orders.readline()
    for task in tasks:
        with contextlib.suppress(psutil.NoSuchProcess):
            tell(task, signal.SIGTERM)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
