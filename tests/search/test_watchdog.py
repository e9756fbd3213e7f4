"""What counts as hung, in virtual time."""

import threading
from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.search.watchdog import AT_ONCE, FIRST, LEAST, TIMES, Watch, Watchdog
from afdcd.training import pulse
from afdcd.training.pulse import Pulse
from tests.pulses import pulse_of


class Kennel:
    """A watchdog whose clock and pulses are moved by hand."""

    def __init__(self) -> None:
        self.now, self.pulses, self.away = 0.0, dict[str, Pulse | None](), False
        self.dog = Watchdog(hear=self._hear, clock=lambda: self.now)

    def _hear(self, folder: str) -> Pulse | None:
        if self.away:
            raise OSError("no route to host")
        return self.pulses.get(folder)

    def passes(self, seconds: float) -> None:
        """Time, with a look every ten seconds."""
        for _ in range(round(seconds / 10)):
            self.now += 10
            self.dog.look()


@pytest.fixture
def kennel() -> Kennel:
    made = Kennel()
    made.dog.watch("a", "f")
    return made


def test_a_run_that_never_begins_has_half_an_hour(kennel: Kennel) -> None:
    kennel.passes(FIRST)
    assert kennel.dog.hung() == {}
    kennel.passes(10)
    assert kennel.dog.hung() == {"a": "no sign of life for 30:10"}


def test_what_an_earlier_attempt_left_is_no_news(kennel: Kennel) -> None:
    kennel.pulses["f"] = pulse_of(at=7.0)
    kennel.passes(FIRST + 20)
    assert kennel.dog.hung()


@pytest.mark.parametrize(
    "news",
    [
        {"iteration": 2},
        {"phase": "validating"},
        {"images": 1},
        {"started": 9.0},  # a new attempt
    ],
)
def test_every_kind_of_progress_is_news_and_a_mere_sign_is_not(
    kennel: Kennel, news: dict[str, object]
) -> None:
    kennel.pulses["f"] = pulse_of()
    kennel.passes(20)
    kennel.pulses["f"] = pulse_of(iteration=1, phase="training", images=0, at=50.0)
    kennel.passes(20)
    before = kennel.dog._watches["a"].watch._since
    kennel.pulses["f"] = pulse_of(**{"at": 60.0, **news})
    kennel.passes(10)
    assert before < 40 < kennel.dog._watches["a"].watch._since


def test_a_run_has_its_place_once_it_writes_and_not_by_what_an_earlier_attempt_left(
    kennel: Kennel,
) -> None:
    kennel.pulses["f"] = pulse_of(at=1.0)
    kennel.passes(20)
    assert not kennel.dog.has_place("a")
    kennel.pulses["f"] = pulse_of(at=2.0)  # not a step further, yet alive
    kennel.passes(10)
    assert kennel.dog.has_place("a")
    assert not kennel.dog.has_place("b")


def test_once_it_runs_ten_minutes_are_the_limit(kennel: Kennel) -> None:
    for iteration in range(5):
        kennel.pulses["f"] = pulse_of(iteration=iteration)
        kennel.passes(10)
    kennel.passes(LEAST - 10)
    assert kennel.dog.hung() == {}
    kennel.passes(20)
    assert kennel.dog.hung()


def test_slow_iterations_have_twenty_times_their_median() -> None:
    watch = Watch(0.0)
    watch.hear("what an earlier attempt left", 0.0)
    for place in range(4):
        watch.hear(place, 900.0 + 100.0 * place)  # the start took longer
    watch.hear("late", 5000.0)  # once, e.g. while something was compiled
    assert watch.limit == TIMES * 100.0
    assert watch.hangs(5000.0 + 2000.0) == ""
    assert watch.hangs(5000.0 + 2001.0) == "no sign of life for 33:21"


def test_while_it_waits_for_a_place_or_the_store_is_away_no_time_passes(kennel: Kennel) -> None:
    for _ in range(6):
        kennel.passes(1000)
        kennel.dog.rest("a")
    kennel.away = True
    kennel.passes(2 * FIRST)
    assert kennel.dog.hung() == {}
    kennel.away = False
    kennel.passes(FIRST + 10)
    assert kennel.dog.hung()


def test_what_has_ended_is_forgotten(kennel: Kennel) -> None:
    kennel.dog.forget("a")
    kennel.passes(FIRST + 10)
    assert kennel.dog.hung() == {}


def test_a_store_that_does_not_answer_is_told_from_a_missing_pulse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pulse.found(str(tmp_path)) is None
    (tmp_path / pulse.FILE).write_text("{cut sho")
    assert pulse.found(str(tmp_path)) is None
    (tmp_path / pulse.FILE).unlink()
    (tmp_path / pulse.FILE).mkdir()
    with pytest.raises(UserError, match=pulse.FILE):
        pulse.found(str(tmp_path))
    assert pulse.read(str(tmp_path)) is None


def test_a_slow_store_is_asked_for_several_runs_at_once() -> None:
    """One after the other, a thousand runs would take longer than the time between two looks."""
    meeting = threading.Barrier(AT_ONCE)

    def slow(folder: str) -> Pulse | None:
        meeting.wait(timeout=30)  # until all the others are on their way, too
        return None

    dog = Watchdog(hear=slow)
    for number in range(AT_ONCE):
        dog.watch(f"run {number}", f"folder {number}")
    dog.look()
    assert not meeting.broken
