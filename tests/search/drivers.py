"""Real processes that hold a lease, as a second driver would."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

_HOLDS = """
import signal, sys
from afdcd.search import lease
lease.BEAT = 0.2
with lease.hold(sys.argv[1], sys.argv[2]) as held:
    print(held.token, flush=True)
    signal.sigwait([signal.SIGTERM])
"""


def start_driver(url: str, name: str) -> subprocess.Popen[str]:
    """A process that holds the lease until it is told to end; it does when this returns."""
    driver = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, url, name], stdout=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert driver.stdout.readline()
    return driver


@contextlib.contextmanager
def another_driver(url: str, name: str) -> Iterator[str]:
    """While it holds the lease; its name in messages, as a pattern."""
    driver = start_driver(url, name)
    try:
        yield re.escape(f"(process {driver.pid})").join((".*", ""))
    finally:
        driver.kill()
        driver.wait()
