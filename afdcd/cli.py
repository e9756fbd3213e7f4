"""What every `python -m afdcd.<verb>` shares: a person's mistake is one line, never a traceback."""

import sys
from collections.abc import Callable

from afdcd.config import UserError
from afdcd.environment import stand_in_for_user

USER_ERROR = 2
INTERRUPTED = 130


def run(main: Callable[[list[str] | None], int], argv: list[str] | None = None) -> int:
    """Call `main(argv)` and return the exit status: 2 after a `UserError`, 130 after Ctrl-C.

    Use as `if __name__ == "__main__": sys.exit(run(main))`.
    """
    stand_in_for_user()
    try:
        return main(argv)
    except UserError as error:
        for line in str(error).splitlines():
            print(f"error: {line}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
