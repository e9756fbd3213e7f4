"""One driver at a time, wherever its storage is: with real processes, on SQLite and PostgreSQL."""

import signal
import threading
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from afdcd.config import UserError
from afdcd.search import holder, lease, leases, open_study
from afdcd.search.lease import LeaseLostError, Seen, hold
from afdcd.search.leases import Held
from tests.search.drivers import another_driver, start_driver
from tests.stores import postgres, postgres_server

__all__ = ["postgres", "postgres_server"]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/study.db"
    return str(request.getfixturevalue("postgres"))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.05)
    monkeypatch.setattr(lease, "LOOK", 0.02)


def test_the_second_is_told_who_holds_it_since_when(url: str) -> None:
    with another_driver(url, "study s") as name:
        with (
            pytest.raises(UserError, match=f"study s is being run by {name} since 20.*; wait for"),
            hold(url, "study s"),
        ):
            pass
        with hold(url, "study another"):
            pass


def test_it_goes_to_the_next_at_once_where_the_first_ended_or_was_killed(url: str) -> None:
    tokens = []
    for end in (signal.SIGTERM, signal.SIGKILL):
        driver = start_driver(url, "study s")
        driver.send_signal(end)
        driver.wait()
        with hold(url, "study s") as held:
            tokens.append(held.token)
    assert tokens == sorted(set(tokens))


def test_a_holder_elsewhere_is_gone_when_its_beat_stays_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    seen = Seen(clock=lambda: now[0])
    row: Any = {
        "token": 3,
        "holder": "far (process 7)",
        "process": "boot/ns 7 1.00 x",
        "since": 0.0,
    }
    assert not seen.is_gone(Held(**row, beat=1))
    assert not seen.lives  # not known yet
    now[0] += 29
    assert not seen.is_gone(Held(**row, beat=2))
    assert seen.lives
    now[0] += 29
    assert not seen.is_gone(Held(**row, beat=2))
    now[0] += 2
    assert seen.is_gone(Held(**row, beat=2))


def test_a_process_of_the_same_number_is_another_one() -> None:
    machine, pid, began, _ = holder.identity().split(" ")
    assert not holder.has_ended(holder.identity())
    assert holder.has_ended(f"{machine} {pid} {int(began) - 1} x")
    assert not holder.has_ended(f"elsewhere {pid} 1.00 x")


def test_a_frozen_driver_is_taken_over_and_can_write_nothing_when_it_comes_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hold(url, "study s") as mine:
        study = open_study.connect(url, "s", lease=mine)
        trial = study.ask()
        mine._over.set()  # no beat any more, as of a process that is frozen
        mine._thread.join()
        monkeypatch.setattr(lease, "SILENCE", 0.3)
        monkeypatch.setattr(holder, "runs_here", lambda process: False)
        with hold(url, "study s") as theirs:
            other = open_study.connect(url, "s", lease=theirs)
            assert theirs.token > mine.token
            with pytest.raises(LeaseLostError, match=r"study s was taken over by .* since 20"):
                study.tell(trial, 0.5)
            assert mine.lost.is_set()
            assert not mine.holds()
            assert theirs.holds()
            assert other.get_trials()[0].state == optuna.trial.TrialState.RUNNING
            other.tell(trial.number, 0.25)
    assert optuna.load_study(study_name="s", storage=url).trials[0].value == 0.25


def test_the_holder_notices_by_itself(url: str) -> None:
    with hold(url, "study s") as mine:
        engine = leases.connect(url)
        leases.write(engine, "study s", token=mine.token + 1, holder="other (process 1)")
        assert mine.lost.wait(10)
        assert "was taken over by other (process 1)" in str(mine.error())
        engine.dispose()


def test_of_many_that_start_together_one_gets_it(url: str) -> None:
    leases.connect(url).dispose()
    won: list[int | None] = []

    def claim() -> None:
        engine = leases.connect(url)
        won.append(leases.claim(engine, "study s", None, holder.identity()))
        engine.dispose()

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(None) == 7


def test_a_driver_may_wait_for_another(url: str) -> None:
    driver = start_driver(url, "teacher-abc")
    told: list[str] = []

    def waits(held: Held) -> bool:
        told.append(str(held))
        driver.terminate()
        return True

    with hold(url, "teacher-abc", waits) as mine:
        assert mine.holds()
    assert f"(process {driver.pid})" in told[0]
    driver.wait()


def test_a_database_that_is_away_for_a_moment_costs_no_lease(url: str, tmp_path: Path) -> None:
    with hold(url, "study s") as mine:
        engine, mine._engine = mine._engine, leases.connect(f"sqlite:///{tmp_path}/other.db")
        mine._engine.dispose()
        (tmp_path / "other.db").unlink()
        (tmp_path / "other.db").mkdir()  # nothing answers there
        assert mine.holds()
        mine._engine = engine
        assert mine.holds()


def test_it_is_given_back_although_the_database_hiccups(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = leases.write, [2]

    def write(*given: Any, **values: Any) -> bool:
        if "holder" in values and left[0]:
            left[0] -= 1
            raise OperationalError("", {}, Exception("server closed the connection"))
        return real(*given, **values)

    with hold(url, "study s"):
        monkeypatch.setattr(leases, "write", write)
    engine = leases.connect(url)
    held = leases.read(engine, "study s")
    engine.dispose()
    assert held is not None
    assert held.holder == ""
