"""The runs that go on, as bars below what scrolls: for a person at a terminal that can show them."""

import sys
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from afdcd.search.watched import Watched

NARROW, WIDE = 8, 40  # columns of a bar
WORDS = 66  # columns that are left to what stands beside it


class Screen:
    """Bars at the bottom of a terminal; `line` prints above them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            # What others print appears above the bars too. An error stream that goes to a file stays.
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start()

    @classmethod
    def opened(cls) -> "Screen | None":
        """None where bars cannot be shown, or are not wanted (NO_COLOR, TERM=dumb)."""
        console = Console(file=sys.stdout, highlight=False)
        plain = console.no_color or console.is_dumb_terminal or not console.is_terminal
        known = console.encoding.lower().startswith("utf")
        return cls(console) if known and not plain else None

    def line(self, text: str) -> None:
        self._console.print(text, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def show(self, runs: Sequence[Watched], below: str) -> None:
        """Draw the bars anew, and a line below them."""
        self._live.update(Group(self._bars(runs), _cell(below)), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _bars(self, runs: Sequence[Watched]) -> Table:
        bars = Table.grid(padding=(0, 1))
        width = min(WIDE, max(NARROW, self._console.width - WORDS))
        for run in runs:
            bars.add_row(
                _cell(run.job.title),
                ProgressBar(run.iterations, run.iteration, width=width),
                _cell(f"{run.iteration}/{run.iterations}"),
                _cell(run.doing or run.speed),
                _cell(run.loss),
                _cell(run.eta),
            )
        return bars


def _cell(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
