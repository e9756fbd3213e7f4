"""The hosts themselves, without Ray: who reaches whom, and that nothing is left of them."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.cluster.hosts import Host, Switch, hosts, missing

REASON = missing()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
ECHO = """
import socket
server = socket.create_server(("", 7))
print("ready", flush=True)
while True:
    server.accept()[0].close()
"""
NEVER_ENDS = """
import sys, tempfile, time
from tests.cluster.hosts import hosts
with tempfile.TemporaryDirectory(dir=sys.argv[1]), hosts("a", "b") as (switch, (a, b)):
    print(switch._process.pid, a._process.pid, a._first, b._first, flush=True)
    if "fail" in sys.argv:
        raise SystemExit("failed")
    time.sleep(600)
"""


@pytest.fixture
def pair() -> Iterator[tuple[Switch, Host, Host]]:
    """Two hosts, on the second of which a port is open."""
    with hosts("a", "b") as (switch, (a, b)):
        _serve(b)
        yield switch, a, b


def _serve(host: Host) -> None:
    command = host.enter([sys.executable, "-c", ECHO])
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"


def _reaches(host: Host, other: Host) -> bool:
    code = f"import socket; socket.create_connection(({other.address!r}, 7), timeout=2)"
    with contextlib.suppress(subprocess.CalledProcessError):
        host.run(sys.executable, "-c", code)
        return True
    return False


def test_a_cut_link_is_silent_and_heals(pair: tuple[Switch, Host, Host]) -> None:
    _, a, b = pair
    assert _reaches(a, b)
    b.cut()
    assert not _reaches(a, b)
    assert b.is_on()
    b.heal()
    assert _reaches(a, b)


def test_a_killed_host_takes_its_processes_along_and_starts_as_an_empty_one(
    pair: tuple[Switch, Host, Host],
) -> None:
    _, a, b = pair
    b.run("touch", "/tmp/ray/mark", "/dev/shm/mark")
    before = [process for process, _ in b.processes()]
    assert len(before) > 1
    b.kill()
    assert psutil.wait_procs(before, timeout=10)[1] == []
    b.start()
    assert b.run("find", "/tmp/ray", "/dev/shm", "-name", "mark") == ""
    _serve(b)
    assert _reaches(a, b)


def test_hosts_share_neither_processes_nor_names_nor_temporary_folders(
    pair: tuple[Switch, Host, Host],
) -> None:
    _, a, b = pair
    assert (a.run("hostname"), b.run("hostname")) == ("a\n", "b\n")
    a.run("touch", "/tmp/ray/mark")
    assert b.run("find", "/tmp/ray", "-name", "mark") == ""
    assert not Path("/tmp/ray/mark").exists()
    seen = {int(line) for line in a.run("ps", "-e", "-o", "pid=").split()}
    assert len(seen) < 10  # of the machine's many
    mine, theirs = ({process.pid for process, _ in host.processes()} for host in pair[1:])
    assert mine
    assert not mine & theirs


def test_only_the_thread_that_joins_reaches_the_hosts(pair: tuple[Switch, Host, Host]) -> None:
    switch, _, b = pair
    found: list[str] = []

    def other() -> None:
        found.append(str(Path("/proc/thread-self/ns/net").readlink()))

    own = Path("/proc/thread-self/ns/net").readlink()
    waiting = threading.Event()
    thread = threading.Thread(target=lambda: (waiting.wait(20), other()))
    thread.start()
    with switch.joined():
        socket.create_connection((b.address, 7), timeout=5).close()
        assert subprocess.run(["ip", "addr", "show", "br0"], capture_output=True).returncode == 0
        waiting.set()
        thread.join()
    assert found == [str(own)]
    assert Path("/proc/thread-self/ns/net").readlink() == own
    assert subprocess.run(["ip", "addr", "show", "br0"], capture_output=True).returncode != 0


@pytest.mark.parametrize("end", ["fail", signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_however_it_ends(end: str | signal.Signals, tmp_path: Path) -> None:
    words = [str(tmp_path), *([end] if isinstance(end, str) else [])]
    process = subprocess.Popen(
        [sys.executable, "-c", NEVER_ENDS, *words], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    started = [int(word) for word in process.stdout.readline().split()]
    assert len(started) == 4
    if isinstance(end, signal.Signals):
        process.send_signal(end)
    process.wait()
    assert process.returncode
    until_gone = time.monotonic() + 20
    while left := [pid for pid in started if psutil.pid_exists(pid)]:
        assert time.monotonic() < until_gone, left
        time.sleep(0.05)
    # What `kill -9` ends can remove no file.
    assert end == signal.SIGKILL or list(tmp_path.iterdir()) == []
