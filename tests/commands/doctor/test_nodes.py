"""Every node is asked; a silent one, one with another clock, and one without this code are a line each."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ray.exceptions import GetTimeoutError, RayActorError

from afdcd.commands.doctor import nodes
from afdcd.commands.doctor.finding import Finding
from afdcd.environment import inherited
from tests.running import ROOT


class _Call:
    """A method of an actor: `remote` gives what `ray.get` turns into the answer."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def remote(self, *_: object) -> object:
        return self._answer


def _get(answer: object, timeout: float) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer() if callable(answer) else answer


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, SimpleNamespace]:
    """The actors by node; a test says what they answer."""
    actors: dict[str, SimpleNamespace] = {}
    monkeypatch.setattr(nodes, "_actor", lambda node: actors[node])
    monkeypatch.setattr(nodes.ray, "get", _get)
    monkeypatch.setattr(nodes.ray, "kill", lambda actor: actor.killed.append(True))
    return actors


def _actor(now: object, look: object = ()) -> SimpleNamespace:
    return SimpleNamespace(now=_Call(now), look=_Call(list(look)), killed=[])


def _lines(cluster: dict[str, SimpleNamespace]) -> list[str]:
    return [str(f) for f in nodes.found_on({n: {"NodeID": n} for n in cluster}, None)]


def test_a_node_that_does_not_answer_is_one_line_and_the_rest_is_asked(
    cluster: dict[str, SimpleNamespace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    cluster["silent"] = _actor(GetTimeoutError("Get timed out"))
    cluster["dead"] = _actor(RayActorError())
    lost = "trace\nModuleNotFoundError: No module named 'afdcd.commands.doctor.node'"
    cluster["other"] = _actor(RayActorError(error_msg=lost))
    cluster["well"] = _actor(nodes.time.time, [Finding("shared memory", "8 GiB")])
    lines = _lines(cluster)
    assert lines[0].startswith("MEND  node on silent: no answer within ")
    assert lines[1].startswith("MEND  node on dead: cannot be asked (")
    assert "on other: cannot be asked (ModuleNotFoundError" in lines[2]
    assert lines[2].endswith("its afdcd is missing or another")
    assert lines[3:] == [
        "ok    clock on well: within 5 s of the one here",
        "ok    shared memory on well: 8 GiB",
    ]
    assert all(actor.killed for actor in cluster.values())
    assert not list(tmp_path.glob("doctor-*"))


def test_a_clock_that_is_wrong_is_told(
    cluster: dict[str, SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster["ahead"] = _actor(lambda: nodes.time.time() + 60)
    cluster["behind"] = _actor(lambda: nodes.time.time() - 60)
    ahead, behind = [line for line in _lines(cluster) if "clock" in line]
    assert ahead.startswith("MEND  clock on ahead: 60.0 s ahead of the one here")
    assert behind.startswith("MEND  clock on behind: 60.0 s behind the one here")


def test_a_slow_answer_is_no_wrong_clock() -> None:
    """The clock is right; the first answers take 20 seconds to come, one comes within 2."""
    time = [1000.0]
    delays = iter([20.0, 20.0, 2.0, 20.0, 20.0])

    def ask() -> float:
        answered = time[0]
        time[0] += next(delays)
        return answered

    ahead, unsure = nodes.skew(ask, lambda: time[0])
    assert (ahead, unsure) == (-1.0, 1.0)
    assert abs(ahead) - unsure <= 0


@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(400)
def test_a_real_node_looks_and_says_what_it_finds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "afdcd.doctor", "--from-worker"],
        cwd=ROOT,
        env=inherited(AFDCD_STORAGE=str(tmp_path)),
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if " on " in line]
    for said in ("ok    node on ", "ok    clock on ", "ok    versions on ", "ok    storage on "):
        assert any(line.startswith(said) for line in lines), done.stdout + done.stderr
    assert not list(tmp_path.glob("doctor-*"))
