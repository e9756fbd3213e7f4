"""The thread that writes to MLflow: nobody waits for it, and nothing ends it."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from afdcd.config import UserError
from afdcd.tracking.tracker import Tracker
from tests.tracking.made import STUDY, points, record, study, trained

PATIENCE = 30.0  # seconds, far more than it takes
SILENT = MlflowException("API request to http://user:s3cret@host/api/2.0/x failed: 0x7f01")


class Proxy:
    """A client in front of a real one; `before` is called with the name of every call."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.before: Callable[[str], None] = lambda name: None

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.before(name)
            return getattr(self.client, name)(*arguments, **named)

        return call

    def fail(self, error: Exception) -> None:
        def refuse(name: str) -> None:
            raise error

        self.before = refuse

    def mend(self) -> None:
        self.before = lambda name: None


@pytest.fixture
def proxy(tracker: Tracker) -> Proxy:
    tracker.client = Proxy(tracker.client)
    return tracker.client


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Somebody who accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def refusal(code: str, text: str = "no") -> MlflowException:
    error = MlflowException(text)
    error.error_code = code
    return error


def status(tracker: Tracker, name: str = "trial-0000", of: str | None = STUDY) -> str:
    return str(tracker.client.get_run(tracker.run_of(name, of)).info.status)


def test_what_was_noted_is_written(tracker: Tracker, tmp_path: Path) -> None:
    tracker.open_study(study())
    done = record(tmp_path, outcome="completed")
    trained(done.job, 0.1, 0.2)
    tracker.update(replace(done, outcome=None))
    tracker.update(done)
    tracker.close_study(study(outcome="completed"))
    assert tracker.flush(PATIENCE)
    run = tracker.run_of("trial-0000", STUDY)
    assert points(tracker.client, run, "miou") == [(2, 0.1), (4, 0.2)]
    assert status(tracker) == status(tracker, "study") == "FINISHED"


def test_nobody_waits_for_a_silent_server(
    tracker: Tracker, tmp_path: Path, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C5: each of these calls once stopped the cluster's loop for two minutes."""
    asked = threading.Event()
    tracker.client = Proxy(MlflowClient(f"http://127.0.0.1:{silent_port}"))
    tracker.client.before = lambda name: asked.set()
    tracker.open_study(study())
    assert asked.wait(PATIENCE)  # from here on the thread hangs in its first request
    for number in range(20):
        tracker.update(record(tmp_path, f"trial-{number:04d}"))
    tracker.close_study(study(outcome="killed"))
    assert not tracker.flush(0.0)
    (thread,) = (t for t in threading.enumerate() if t is tracker._thread)
    assert thread.is_alive()
    assert thread.daemon  # else the process could not end


def test_ten_updates_while_it_is_away_are_one(
    tracker: Tracker, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.fail(SILENT)
    going = record(tmp_path)
    for _ in range(10):
        tracker.update(going)
    tracker.update(replace(going, outcome="paused"))
    calls: list[str] = []
    assert not tracker.flush(0.0)
    proxy.before = calls.append
    assert tracker.flush(PATIENCE)
    assert calls.count("create_run") == 1
    assert status(tracker) == "FINISHED"


def test_trouble_is_told_once_and_its_end_too(
    tracker: Tracker, proxy: Proxy, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    proxy.fail(SILENT)
    for number in range(3):
        tracker.update(record(tmp_path, f"trial-{number:04d}"))
        tracker.flush(0.0)
    _until(lambda: "warning" in capfd.readouterr().err)
    proxy.fail(MlflowException("API request to http://user:s3cret@host/api/2.0/y failed: 0x7f02"))
    tracker.flush(0.2)  # the same trouble, another address
    proxy.mend()
    assert tracker.flush(PATIENCE)
    told = capfd.readouterr().err
    assert "s3cret" not in told
    assert told.splitlines() == ["MLflow works again; all is written"]


@pytest.mark.parametrize(
    "error",
    [
        refusal("UNAUTHENTICATED"),
        refusal("PERMISSION_DENIED"),
        refusal("RESOURCE_DOES_NOT_EXIST"),
        refusal("INVALID_PARAMETER_VALUE"),
        refusal("BAD_REQUEST", "The experiment 1 must be in the 'active' state"),
        SILENT,
        ConnectionError("gone"),
        KeyError("a fault of ours"),
    ],
)
def test_no_refusal_reaches_the_search_and_all_is_written_later(
    tracker: Tracker, proxy: Proxy, tmp_path: Path, error: Exception
) -> None:
    """C6: a study ended with a traceback because somebody had deleted a run."""
    proxy.fail(error)
    done = record(tmp_path, outcome="completed")
    trained(done.job, 0.5)
    tracker.open_study(study())
    tracker.update(done)
    tracker.close_study(study(outcome="completed"))
    assert not tracker.flush(0.1)
    proxy.mend()
    assert tracker.flush(PATIENCE)
    assert status(tracker) == "FINISHED"
    assert points(tracker.client, tracker.run_of("trial-0000", STUDY), "miou") == [(2, 0.5)]


def test_a_run_deleted_between_two_requests_is_made_anew(
    tracker: Tracker, proxy: Proxy, tmp_path: Path
) -> None:
    going = record(tmp_path)
    trained(going.job, 0.5)
    tracker.update(going)
    assert tracker.flush(PATIENCE)
    first = tracker.run_of("trial-0000", STUDY)

    def delete(name: str) -> None:
        if name == "log_batch":
            proxy.mend()
            proxy.delete_run(first)

    proxy.before = delete
    trained(going.job, 0.5, 0.6)
    tracker.update(going)
    assert tracker.flush(PATIENCE)
    second = tracker.run_of("trial-0000", STUDY)
    assert second != first
    assert points(tracker.client, second, "miou") == [(2, 0.5), (4, 0.6)]


def test_a_run_that_is_refused_for_ever_holds_up_no_other(
    tracker: Tracker, proxy: Proxy, tmp_path: Path
) -> None:
    good, bad = record(tmp_path, "trial-0001"), record(tmp_path, "trial-0000")
    (tmp_path / "trial-0000").mkdir()
    (tmp_path / "trial-0000" / "journal").mkdir()
    (tmp_path / "trial-0000" / "journal" / "00000002.json").write_text("{")
    tracker.update(bad)
    tracker.update(good)
    tracker.close_study(study(outcome="completed"))
    assert not tracker.flush(3.0)
    assert status(tracker, "trial-0001") == "RUNNING"
    assert status(tracker, "study") == "FINISHED"


def test_a_winner_can_be_registered_whose_start_mlflow_never_heard_of(
    tracker: Tracker, proxy: Proxy, tmp_path: Path, mlflow_storage: Path
) -> None:
    """C4: the driver that ran it is gone, and what it could not write with it."""
    proxy.fail(SILENT)
    done = record(tmp_path, outcome="completed")
    trained(done.job, 0.5)
    tracker.update(done)
    tracker.close()
    again = Tracker()
    with pytest.raises(UserError, match="no run of trial-0000; set MLFLOW_TRACKING_URI"):
        again.run_of("trial-0000", STUDY)
    again.update(done)
    run = again.run_of("trial-0000", STUDY)
    assert points(again.client, run, "miou") == [(2, 0.5)]
    assert again.flush(PATIENCE)
    assert len(again.client.search_runs([again.experiment])) == 1
    again.close()


@pytest.mark.parametrize("of", [STUDY, None])
def test_what_a_killed_driver_left_running_is_told_by_the_next(
    tracker: Tracker, tmp_path: Path, mlflow_storage: Path, of: str | None
) -> None:
    """C11: of studies, teachers and single runs alike; and telling it twice changes nothing."""
    going = record(tmp_path, study=of)
    tracker.update(going)
    assert tracker.flush(PATIENCE)
    again = Tracker()
    for _ in range(2):
        again.update(replace(going, outcome="killed", cause="the driver was killed"))
        assert again.flush(PATIENCE)
    assert status(again, of=of) == "KILLED"
    assert len(again.client.search_runs([again.experiment])) == 1
    again.close()


def test_at_an_interrupt_all_ends_are_written_before_anything_else(
    tracker: Tracker, proxy: Proxy, tmp_path: Path
) -> None:
    """`ray job stop` kills three seconds later; journals may be long."""
    going = [record(tmp_path, f"trial-{number:04d}") for number in range(3)]
    tracker.open_study(study())
    for each in going:
        tracker.update(each)
    assert tracker.flush(PATIENCE)
    calls: list[str] = []
    held = threading.Event()

    def hold(name: str) -> None:
        calls.append(name)
        held.wait(PATIENCE)

    proxy.before = hold
    tracker.update(going[0])
    _until(lambda: bool(calls))  # the thread is at work on something else
    for each in going:
        trained(each.job, 0.1, 0.2)
        tracker.update(replace(each, outcome="killed"))
    tracker.close_study(study(outcome="killed"))
    tracker.client = tracker.client.client
    order: list[str] = []
    tracker.client = Proxy(tracker.client)
    tracker.client.before = order.append
    held.set()
    assert tracker.flush(PATIENCE)
    ends = [place for place, name in enumerate(order) if name == "set_terminated"]
    logged = [place for place, name in enumerate(order) if name == "log_batch"]
    assert len(ends) == 4
    assert max(ends[:3]) < min(logged)


def test_number_is_noted_once(tracker: Tracker, tmp_path: Path) -> None:
    tracker.update(record(tmp_path))
    run = tracker.run_of("trial-0000", STUDY)
    for value in (0.5, 0.5, 0.6):
        tracker.note(run, "test_score", value)
    assert [v for _, v in points(tracker.client, run, "test_score")] == [0.5, 0.6]


def test_silence_after_the_search_is_one_line(
    tracker: Tracker, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.fail(SILENT)
    for call in (
        lambda: tracker.run_of("trial-0000", STUDY),
        lambda: tracker.note("run", "x", 1.0),
        lambda: tracker.attach("run", "x", b""),
    ):
        with pytest.raises(UserError, match="MLflow does not answer; run the same") as error:
            call()
        assert "s3cret" not in str(error.value)


def _until(true: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE * 100)):
        if true():
            return
        threading.Event().wait(0.01)
    pytest.fail("it never happened")


@pytest.mark.parametrize(
    ("left", "delivered"), [([3, 2, 0], True), ([3, 3], False), ([2, 1, 1], False)]
)
def test_a_long_way_is_waited_for_and_a_standstill_is_not(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch, left: list[int], delivered: bool
) -> None:
    """A server that is slow with a large study must not be taken for one that is away."""
    sizes = iter(left)

    class Outbox:
        size = next(sizes)

        def __len__(self) -> int:
            return self.size

    outbox = Outbox()

    def flush(seconds: float) -> bool:
        outbox.size = next(sizes)
        return outbox.size == 0

    monkeypatch.setattr(tracker, "_outbox", outbox)
    monkeypatch.setattr(tracker, "flush", flush)
    assert tracker.deliver() is delivered
    monkeypatch.undo()
