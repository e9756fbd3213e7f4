"""How far a run is: what a pulse says, and that it costs training nothing."""

import threading
from pathlib import Path

import pytest

from afdcd.training import pulse
from afdcd.training.pulse import EVERY, FILE, Mailbox, Pulse, Pulses
from tests.pulses import attempt, pulse_of

ONE = pulse_of(iteration=3, iterations=10)


class Run:
    """A run whose clock is moved by hand."""

    def __init__(self) -> None:
        self.now, self.heard = 100.0, []
        self.pulses = Pulses(100, 8, attempt(), self.heard.append, clock=lambda: self.now)

    def trained(self, iteration: int, after: float) -> None:
        self.now += after
        self.pulses.trained(iteration)


def test_phases_are_told_at_once_and_iterations_now_and_then() -> None:
    run = Run()
    run.trained(1, 0.1)
    for iteration in range(2, 12):  # 10 s
        run.trained(iteration, 1.0)
    run.pulses.validating(11)
    run.trained(12, 0.1)
    assert [(one.phase, one.iteration) for one in run.heard] == [
        ("starting", 0),
        ("training", 1),
        ("training", 6),
        ("training", 11),
        ("validating", 11),
        ("training", 12),
    ]


def test_speed_is_that_of_the_time_since_the_last_pulse_and_not_of_validation() -> None:
    run = Run()
    run.trained(1, 60.0)  # networks are built, processes start
    run.trained(11, EVERY)
    run.trained(31, EVERY)
    run.pulses.validating(31)
    run.trained(32, 300.0)
    run.trained(42, EVERY)
    slow, fast = 10 * 8 / EVERY, 20 * 8 / EVERY
    rates = [one.images_per_second for one in run.heard]
    assert rates == [None, None, slow, fast, fast, fast, slow]


def test_speed_is_known_of_phases_that_are_shorter_than_two_pulses_too() -> None:
    run = Run()
    run.trained(1, 9.0)
    run.trained(11, 2.0)
    run.pulses.validating(11)
    assert run.heard[-1].images_per_second == 40.0
    run.trained(12, 9.0)
    run.trained(13, 0.5)  # too short to say
    run.pulses.validating(13)
    assert run.heard[-1].images_per_second == 40.0


@pytest.mark.parametrize("loss", [float("inf"), float("nan"), None])
def test_a_loss_that_is_no_number_is_none(loss: float | None) -> None:
    run = Run()
    run.pulses.loss = loss
    run.trained(1, 0.0)
    assert run.heard[-1].loss is None


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_pulse_is_read_back(tmp_path: Path, scheme: str) -> None:
    folder = f"{scheme}{tmp_path}/run"
    assert pulse.read(folder) is None
    pulse.write(folder, ONE)
    assert pulse.read(folder) == ONE
    pulse.write(folder, ONE.updated(iteration=4))
    assert pulse.read(folder).iteration == 4


@pytest.mark.parametrize("content", [b"", b'{"phase": "tra', b"[]", b"\xff", b'{"phase": "x"}'])
def test_a_file_that_is_none_is_no_pulse(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert pulse.read(str(tmp_path)) is None


@pytest.mark.parametrize("folder", ["nosuch://bucket/run", "/proc/nowhere"])
def test_a_place_that_cannot_be_read_has_no_pulse(folder: str) -> None:
    assert pulse.read(folder) is None


def test_while_the_store_is_slow_the_newest_is_kept_and_nobody_waits() -> None:
    written: list[int] = []
    writing, go_on = threading.Event(), threading.Event()

    def slow(one: Pulse) -> None:
        writing.set()
        assert go_on.wait(20)
        written.append(one.iteration)

    mailbox = Mailbox(slow)
    mailbox.put(ONE)
    assert writing.wait(20)
    for iteration in (4, 5, 6):  # returns while the store still holds the first
        mailbox.put(ONE.updated(iteration=iteration))
    assert written == []
    go_on.set()
    mailbox.close()
    mailbox._thread.join(20)
    assert written == [3, 6]


def test_what_cannot_be_written_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []
    arrived = threading.Semaphore(0)

    def full(one: Pulse) -> None:
        tried.append(one.iteration)
        arrived.release()
        raise OSError("no space left")

    mailbox = Mailbox(full)
    for iteration in range(3):
        mailbox.put(ONE.updated(iteration=iteration))
        assert arrived.acquire(timeout=20)
    mailbox.close()
    assert tried == [0, 1, 2]
    assert [record.getMessage() for record in caplog.records] == ["no pulse: no space left"]


def test_a_store_that_never_answers_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "LINGER", 0.0)
    ever = threading.Event()
    mailbox = Mailbox(lambda _: ever.wait() and None)
    mailbox.put(ONE)
    mailbox.close()
    assert mailbox._thread.daemon
    ever.set()
