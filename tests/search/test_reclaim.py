"""Which placement groups are taken back: those that stay empty, not those about to be filled."""

from afdcd.search.reclaim import PATIENCE, Reclaimer


def test_a_group_that_stays_empty_is_taken_back() -> None:
    reclaimer = Reclaimer("")
    assert reclaimer.forsaken(["dead", "busy"], {"busy"}, now=0.0) == []
    assert reclaimer.forsaken(["dead", "busy"], {"busy"}, now=PATIENCE - 1) == []
    assert reclaimer.forsaken(["dead", "busy"], {"busy"}, now=PATIENCE) == ["dead"]


def test_a_group_that_was_filled_meanwhile_starts_over() -> None:
    reclaimer = Reclaimer("")
    reclaimer.forsaken(["group"], set(), now=0.0)
    reclaimer.forsaken(["group"], {"group"}, now=PATIENCE - 1)
    assert reclaimer.forsaken(["group"], set(), now=PATIENCE + 1) == []
