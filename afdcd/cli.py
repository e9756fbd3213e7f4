"""What all commands share: a person's mistake is one line, an output that nobody reads no error."""

import argparse
import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from afdcd.config import UserError
from afdcd.environment import stand_in_for_user
from afdcd.output import accept_every_character, discard_if_unread
from afdcd.text import printable

USER_ERROR = 2
INTERRUPTED = 130
UNREAD = 141  # 128 + SIGPIPE: what a shell shows of a command whose reader left, as `head` does


def run(main: Callable[[list[str] | None], int], argv: list[str] | None = None) -> int:
    """Call `main(argv)` and return the exit status: 2 after a `UserError`, 130 after Ctrl-C.

    Use as `if __name__ == "__main__": sys.exit(run(main))`.
    """
    stand_in_for_user()
    accept_every_character()
    try:
        status = _status(main, argv)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # what is left would be written too late to be caught here
        return status
    except BrokenPipeError:
        if not discard_if_unread():
            raise  # it was another pipe
        return UNREAD


def _status(main: Callable[[list[str] | None], int], argv: list[str] | None) -> int:
    try:
        return main(argv)
    except UserError as error:
        for line in str(error).splitlines():
            print(f"error: {printable(line)}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as ended:  # argparse, after --help or a wrong option
        if not isinstance(ended.code, int):
            raise
        return ended.code


@contextmanager
def without_collection() -> Iterator[None]:
    """For a process of some seconds: Python's search for garbage takes a tenth of them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def new_parser(
    prog: str, description: str | None, epilog: str | None = None
) -> argparse.ArgumentParser:
    """What a verb's own arguments are added to; lines of both texts stay as they are written."""
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
