"""Of two drivers whose workers share a folder, the later one writes."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.training import turn


def test_the_later_driver_has_the_folder_and_the_earlier_one_stops(tmp_path: Path) -> None:
    folder = str(tmp_path)
    turn.take(folder, 5)
    turn.check(folder, 5)
    turn.take(folder, 5)  # the same driver starts the run again
    turn.take(folder, 7)
    with pytest.raises(UserError, match=r"another driver \(lease 7\) has taken this run up"):
        turn.check(folder, 5)
    with pytest.raises(UserError, match="has taken this run up"):
        turn.take(folder, 5)
    turn.check(folder, 7)


def test_a_file_that_was_cut_short_keeps_nobody_out(tmp_path: Path) -> None:
    (tmp_path / turn.FILE).write_text('{"tok')
    turn.take(str(tmp_path), 3)
    turn.check(str(tmp_path), 3)
