"""What is printed, whoever reads it: a pipe that is closed early, a terminal that knows ASCII alone."""

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import IO, Any, cast


def accept_every_character() -> None:
    """Let what a terminal cannot show be spelled out: printing it would end in a traceback.

    A stream that was closed before this process began is opened again, to nowhere.
    """
    sys.stdout, sys.stderr = _opened(sys.stdout), _opened(sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_if_unread() -> bool:
    """Send what nobody reads any more to nowhere; whether there is such a stream."""
    unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for stream in unread:
        _discard(stream)
    return bool(unread)


@contextmanager
def going_on_unread() -> Iterator[None]:
    """Let nothing that is printed inside raise: a study goes on when `| less` is left."""
    out, err = _Outliving(sys.stdout), _Outliving(sys.stderr)
    with redirect_stdout(cast(IO[str], out)), redirect_stderr(cast(IO[str], err)):
        yield


class _Outliving:
    """A stream that drops what cannot be written."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            self._drop()
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            self._drop()

    def _drop(self) -> None:
        if _is_unread(self._stream):  # and not only a disk that is full for a while
            _discard(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _opened(stream: IO[str] | None) -> Any:
    return Path(os.devnull).open("w") if stream is None else stream


def _is_unread(stream: IO[str]) -> bool:
    """Whether a pipe or a terminal has nobody at its other end; False for what is neither."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _discard(stream: IO[str]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
