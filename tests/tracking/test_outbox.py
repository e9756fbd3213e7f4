"""What waits to be written, fed by hand with its own time."""

from afdcd.tracking.outbox import LONGEST, Letter, Outbox


def taken(outbox: Outbox, now: float = 0.0) -> Letter:
    letter = outbox.next(now)
    assert letter is not None
    return letter


def test_of_many_updates_the_newest_waits() -> None:
    outbox = Outbox()
    for record in range(10):
        outbox.put("run", record)
    assert len(outbox) == 1
    letter = taken(outbox)
    assert letter.record == 9
    outbox.delivered(letter)
    assert outbox.next(0.0) is None


def test_an_update_while_the_last_one_is_written_is_not_lost() -> None:
    outbox = Outbox()
    outbox.put("run", "old")
    letter = taken(outbox)
    outbox.put("run", "new")
    outbox.delivered(letter)
    assert taken(outbox).record == "new"


def test_what_fails_waits_longer_each_time_and_holds_up_nothing() -> None:
    outbox = Outbox()
    outbox.put("bad", 1)
    now, waits = 0.0, []
    for _ in range(8):
        outbox.failed(taken(outbox, now), now)
        assert outbox.next(now) is None
        wait = outbox.wait(now)
        assert wait is not None
        waits.append(wait)
        now += wait
    assert waits == [1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]
    outbox.failed(taken(outbox, now), now)
    outbox.put("good", 2)
    assert taken(outbox, now).key == "good"
    outbox.put("bad", 3)  # news does not make the server better
    assert taken(outbox, now).key == "good"
    assert taken(outbox, now + LONGEST).record == 3


def test_ends_of_killed_runs_go_before_all_else_and_the_rest_follows() -> None:
    outbox = Outbox()
    for key in ("a", "b", "c"):
        outbox.put(key, "going")
    outbox.put("b", "killed", urgent=True)
    outbox.put("c", "killed", urgent=True)
    order = []
    while (letter := outbox.next(0.0)) is not None:
        order.append((letter.key, letter.urgent))
        outbox.delivered(letter)
    assert order == [("b", True), ("c", True), ("a", False), ("b", False), ("c", False)]


def test_hurry_tries_all_at_once_and_waits_little_again() -> None:
    outbox = Outbox()
    outbox.put("run", 1)
    outbox.failed(taken(outbox), 0.0)
    outbox.hurry()
    outbox.failed(taken(outbox), 0.0)
    assert outbox.wait(0.0) == 1
    outbox.hurry()
    assert outbox.wait(0.0) == 0
    assert Outbox().wait(0.0) is None
