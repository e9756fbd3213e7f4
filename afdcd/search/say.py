"""The one way to print a line while runs go on: with the time of day, above the bars where there are some."""

import time
from typing import Protocol

NEWS = 14.0  # seconds without a line; with the second between two looks never more than 15


class Showing(Protocol):
    """What has the terminal: it alone knows how to print above its bars."""

    def line(self, text: str) -> None: ...


showing: list[Showing] = []  # the last one has the terminal


def say(text: str) -> None:
    line = f"[{time.strftime('%H:%M:%S')}] {text}"
    if showing:
        showing[-1].line(line)
    else:
        print(line, flush=True)
