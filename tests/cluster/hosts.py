"""Several hosts on one machine: each has its own network, processes, name and temporary folders.

Their links meet in a bridge, the switch, which has a network namespace of its own, so nothing touches
the machine's network. No namespace has a name: it goes with its last process, and the kernel ends the
first process of each host when the thread that made it ends, be it by `kill -9` (`--pdeathsig`). So
nothing is left of them in any case. SIGTERM is made an exception, so that whoever uses the hosts can
remove files too.

What lies on the disk is seen by all hosts, as on NFS, but for /tmp/ray and /dev/shm.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

NETWORK = "10.77.0"
DESK = f"{NETWORK}.1"  # who works at the switch itself has this address: the tests
PROGRAMS = {
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
_WITH_ME = ["setpriv", "--pdeathsig", "KILL", "--"]  # what follows ends when this thread ends
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET of the kernel
# The first process of a host. It says when all is mounted, and then takes in what its parents left.
_FIRST = """
hostname "$1"
mkdir -p /tmp/ray
mount -t tmpfs -o size=2g tmpfs /tmp/ray
mount -t tmpfs -o size=1g tmpfs /dev/shm
printf '127.0.0.1 localhost\\n%s %s\\n' "$2" "$1" > /tmp/ray/hosts
mount --bind /tmp/ray/hosts /etc/hosts
echo ready
while :; do sleep 3600 & wait $!; done
"""


class Host:
    """One host, with a link to the switch. A killed one can be started again, as an empty machine."""

    def __init__(self, switch: "Switch", name: str, number: int) -> None:
        self.name, self.address = name, f"{NETWORK}.{number}"
        self._switch, self._port = switch, f"port{number}"
        self._process: subprocess.Popen[str] | None = None
        self._first = 0  # the id of the first process

    def start(self) -> None:
        """Switch the machine on."""
        private = ["--uts", "--ipc", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        command = [*_WITH_ME, "unshare", *private, "--mount-proc", "bash", "-ec", _FIRST, "first"]
        self._process = subprocess.Popen(
            [*command, self.name, self.address],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            raise OSError(f"host {self.name} did not start")
        self._first = psutil.Process(self._process.pid).children()[0].pid
        self._switch.connect(self._port, self._first, self.address)

    def enter(self, command: Sequence[object], folder: object = "/") -> list[str]:
        """The command line that does `command` on this host, in a folder."""
        place = ["--net", "--mount", "--pid", "--uts", "--ipc"]
        line = [*_WITH_ME, "nsenter", f"--target={self._first}", *place, "--"]
        return [*line, "env", f"--chdir={folder}", *map(str, command)]

    def run(self, *command: object, environment: Mapping[str, str] | None = None) -> str:
        """What a command prints on this host.

        Raises:
            subprocess.CalledProcessError: it ended without success.
        """
        line = self.enter(command)
        done = subprocess.run(line, env=environment, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout

    def processes(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        """All that run on this host, with the words of their command lines."""
        if not self.is_on():
            return
        mine = Path(f"/proc/{self._first}/ns/pid").readlink()
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):  # it has ended
                if Path(f"/proc/{process.pid}/ns/pid").readlink() == mine:
                    yield process, process.cmdline()

    def cut(self) -> None:
        """Pull the cable: nobody is told."""
        self._switch.set(self._port, "down")

    def heal(self) -> None:
        self._switch.set(self._port, "up")

    def kill(self) -> None:
        """As a machine that loses its power: it says no farewell, so the link goes first."""
        if self._process is None:
            return
        if self.is_on():
            self.cut()
        self._process.kill()  # and with it the first process, and so all others
        self._process.wait()
        while psutil.pid_exists(self._first):
            time.sleep(0.01)
        self._switch.disconnect(self._port)
        self._process = None

    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None


class Switch:
    """The bridge to which all hosts are connected."""

    def __init__(self) -> None:
        command = [*_WITH_ME, "unshare", "--net", "sleep", "infinity"]
        self._process = subprocess.Popen(command, start_new_session=True)
        own = Path("/proc/self/ns/net").readlink()
        while Path(f"/proc/{self._process.pid}/ns/net").readlink() == own:
            if self._process.poll() is not None:
                raise OSError("no network namespace could be made")
            time.sleep(0.01)
        self._ip("link add br0 type bridge", f"addr add {DESK}/24 dev br0")
        self._ip("link set br0 up", "link set lo up")

    def connect(self, port: str, process: int, address: str) -> None:
        """A link from a port of the switch to the network of a process."""
        self._ip(f"link add {port} type veth peer name eth0 netns {process}")
        self._ip(f"link set {port} master br0 up")
        inside = [f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"]
        _ip(process, *inside)

    def disconnect(self, port: str) -> None:
        """Take a link away. The kernel does that too, but some time after the last process."""
        with contextlib.suppress(subprocess.CalledProcessError):  # it has done so
            self._ip(f"link del {port}")

    def set(self, port: str, state: str) -> None:
        self._ip(f"link set {port} {state}")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """This thread, and all that it starts meanwhile, is at the switch: it reaches every host."""
        with (
            Path("/proc/thread-self/ns/net").open() as mine,
            Path(f"/proc/{self._process.pid}/ns/net").open() as there,
        ):
            _enter_network(there.fileno())
            try:
                yield
            finally:
                _enter_network(mine.fileno())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ip(self, *lines: str) -> None:
        _ip(self._process.pid, *lines)


@contextmanager
def hosts(*names: str) -> Iterator[tuple[Switch, list[Host]]]:
    """A switch and running hosts, the first with the address NETWORK.10."""
    with contextlib.ExitStack() as ends:
        ends.enter_context(_ending_in_order())
        switch = Switch()
        ends.callback(switch.close)
        found = [Host(switch, name, 10 + number) for number, name in enumerate(names)]
        for host in found:
            ends.callback(host.kill)
            host.start()
        yield switch, found


def missing() -> str:
    """What this machine lacks, as the reason of a skipped test; empty where nothing is."""
    if os.getuid() != 0:
        return "needs root, for hosts in namespaces: sudo"
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            return f"needs {program}: apt-get install {package}"
    tried = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--fork", "ip", "link", "add", "type", "bridge"],
        capture_output=True,
        text=True,
    )
    if tried.returncode:
        return f"needs namespaces and bridges, which this machine refuses: {tried.stderr.strip()}"
    return ""


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """SIGTERM ends this process by an exception, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _ip(process: int, *lines: str) -> None:
    """`ip` in the network of a process, one command a line."""
    subprocess.run(
        ["nsenter", f"--target={process}", "--net", "ip", "-batch", "-"],
        input="\n".join(lines),
        text=True,
        check=True,
        stderr=subprocess.PIPE,
    )


def _enter_network(namespace: int) -> None:
    """Of this thread alone. Python has os.setns from 3.12 on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")
