"""When the workers of a run look for a node that is being drained, and that all do so at one step."""

from collections.abc import Callable

import pytest
import ray
from ray.train import PreemptionInfo

from afdcd.training.notice import EVERY, Notice


class Worker:
    """One worker whose steps take some time; what it asks and agrees on goes through a `Meeting`."""

    def __init__(self, meeting: "Meeting", seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds
        self.looks: list[int] = []
        self.steps = 0
        self.notice = Notice(lambda: self._ask(meeting), meeting.agree(self), lambda: self.now)

    def step(self) -> str:
        self.steps += 1
        self.now += self.seconds
        return self.notice.step()

    def _ask(self, meeting: "Meeting") -> PreemptionInfo | None:
        self.looks.append(self.steps)
        return meeting.info


class Meeting:
    """What Ray Train does: the first worker's word is everybody's. Workers step in turn."""

    def __init__(self) -> None:
        self.info: PreemptionInfo | None = None
        self.workers: list[Worker] = []
        self._said = 0

    def agree(self, worker: Worker) -> Callable[[int], int]:
        first = not self.workers
        self.workers.append(worker)

        def agreed(steps: int) -> int:
            if first:
                self._said = steps
            return self._said

        return agreed


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [{"NodeID": f"{n}" * 56, "NodeManagerAddress": f"10.0.0.{n}"} for n in range(5)]
    monkeypatch.setattr(ray, "nodes", lambda: listed)


def drained(*nodes: int) -> PreemptionInfo:
    return PreemptionInfo(None, {f"{node}" * 56: [0] for node in nodes})


@pytest.mark.parametrize("seconds", [0.001, 0.13, 1.5, 10.0])
def test_looks_are_some_seconds_apart_however_fast_the_steps_are(seconds: float) -> None:
    worker = Worker(Meeting(), seconds)
    for _ in range(max(20, int(60 / seconds))):
        assert worker.step() == ""
    assert worker.looks[0] == 1  # the node may be leaving already
    apart = [b - a for a, b in zip(worker.looks, worker.looks[1:], strict=False)]
    assert max(apart) * seconds <= max(EVERY, seconds) * 1.001
    assert apart[-1] * seconds >= min(EVERY / 2, apart[-1] * seconds)
    assert len(worker.looks) < 60 / EVERY + 15 or seconds > EVERY


def test_workers_of_different_speed_look_and_leave_at_the_same_step(nodes: None) -> None:
    meeting = Meeting()
    workers = [Worker(meeting, 0.02), Worker(meeting, 0.5)]
    for number in range(1000):
        if number == 640:
            meeting.info = drained(3)
        left = [worker.step() for worker in workers]
        assert left[0] == left[1]
        if left[0]:
            break
    assert left == ["node 10.0.0.3 is being drained"] * 2
    assert workers[0].looks == workers[1].looks
    assert 640 < workers[0].steps <= 740


def test_slow_steps_after_fast_ones_are_not_counted_as_fast_ones() -> None:
    """A validated image takes longer than an iteration; the next look must not be minutes away."""
    worker = Worker(Meeting(), 0.01)
    for _ in range(2000):
        worker.step()
    worker.seconds, before = 1.0, len(worker.looks)
    worker.notice.restart()
    for _ in range(10):
        worker.step()
    assert len(worker.looks) - before >= 5


def test_the_first_step_says_little_of_the_others() -> None:
    """It took a minute to compile, or nothing at all as the device works behind its host."""
    worker = Worker(Meeting(), 0.0)
    for _ in range(3):
        worker.step()
    worker.seconds = 1.0
    for _ in range(12):
        worker.step()
    assert max(b - a for a, b in zip(worker.looks, worker.looks[1:], strict=False)) <= 8


@pytest.mark.parametrize(
    ("which", "told"),
    [
        ((2,), "node 10.0.0.2 is being drained"),
        ((4, 2), "nodes 10.0.0.2, 10.0.0.4 are being drained"),
        ((9,), "node 999999999999 is being drained"),  # gone, and no longer listed
    ],
)
def test_nodes_are_told_by_the_addresses_that_people_know(
    nodes: None, which: tuple[int, ...], told: str
) -> None:
    assert Notice(lambda: drained(*which)).step() == told
