"""Asks every node of the cluster what it finds. One that does not answer is one line."""

import secrets
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from afdcd import storage
from afdcd.commands.doctor.finding import PATIENCE, Finding
from afdcd.commands.doctor.node import Asked, Node, versions
from afdcd.config import UserError
from afdcd.environment import SQLITE, storage_root, study_database, tracking_uri
from afdcd.text import shown

STARTS = 2 * PATIENCE  # a node starts a process and imports what it needs
LOOKS = 3 * PATIENCE  # for all its checks together
MOST_SKEW = 5.0  # seconds: leases are judged silent after 30, and S3 refuses 900
_QUESTIONS = 5  # of which the quickest answer says most about a clock
_UNHEARD = "look at it with `ray status` and in its logs; end its processes if it is gone"


def found_on(nodes: Mapping[str, Mapping[str, Any]], data: str | None) -> Iterator[Finding]:
    """What each node says: all are asked at the same time, as runs read their data."""
    actors = {name: _actor(node["NodeID"]) for name, node in nodes.items()}
    try:
        present = yield from answers({n: a.now.remote() for n, a in actors.items()}, STARTS)
        for name in present:
            yield _clock(name, actors[name])
        with _asked(data, several=len(nodes) > 1) as asked:
            looks = {name: actors[name].look.remote(asked) for name in present}
            seen = yield from answers(looks, LOOKS)
        for name, findings in seen.items():
            yield from (replace(finding, where=(name,)) for finding in findings)
    finally:
        for actor in actors.values():
            ray.kill(actor)


def _actor(node: str) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    remote = ray.remote(num_cpus=0, max_restarts=0)(Node)
    return remote.options(scheduling_strategy=strategy).remote()


def answers(calls: Mapping[str, Any], patience: float) -> Generator[Finding, None, dict[str, Any]]:
    """The answers by node; who gives none in time, or cannot, is a finding."""
    ends, found = time.monotonic() + patience, {}
    for name, call in calls.items():
        try:
            found[name] = ray.get(call, timeout=max(0.1, ends - time.monotonic()))
        except GetTimeoutError:
            silence = f"no answer within {patience:g} s"
            yield Finding("node", silence, _UNHEARD, where=(name,))
        except RayError as error:
            yield Finding("node", f"cannot be asked ({_last_line(error)})", _remedy(error), (name,))
    return found


def _remedy(error: RayError) -> str:
    if "ModuleNotFoundError" in str(error) or "ImportError" in str(error):
        return "install there what is installed here: its afdcd is missing or another"
    return _UNHEARD


def _last_line(error: RayError) -> str:
    """Ray quotes a traceback, at whose end stands the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shown(lines[-1]) if lines else type(error).__name__


def _clock(name: str, actor: Any) -> Finding:
    try:
        ahead, unsure = skew(lambda: float(ray.get(actor.now.remote(), timeout=PATIENCE)))
    except (GetTimeoutError, RayError) as error:
        return Finding("clock", f"no answer ({_last_line(error)})", _UNHEARD, (name,))
    if abs(ahead) - unsure <= MOST_SKEW:
        return Finding("clock", f"within {MOST_SKEW:g} s of the one here", where=(name,))
    word = "ahead of" if ahead > 0 else "behind"
    found = f"{abs(ahead):.1f} s {word} the one here (give or take {unsure:.2f} s)"
    return Finding("clock", found, "let both follow a time server, e.g. chrony", (name,))


def skew(ask: Callable[[], float], now: Callable[[], float] = time.time) -> tuple[float, float]:
    """Seconds that a clock is ahead of this one, and by how much that may be wrong.

    The answer was given somewhere between question and arrival, so the quickest says most.
    """
    best = (0.0, float("inf"))
    for _ in range(_QUESTIONS):
        before, there = now(), ask()
        after = now()
        if (after - before) / 2 < best[1]:
            best = (there - (before + after) / 2, (after - before) / 2)
    return best


@contextmanager
def _asked(data: str | None, *, several: bool) -> Iterator[Asked]:
    """What nodes are asked, with a file in storage that all should see."""
    root, note = storage_root(), secrets.token_hex(8)
    file = storage.join(root, f"doctor-{note}")
    with suppress(UserError):  # told already, by the check from here
        storage.write_bytes(file, note.encode())
    try:
        yield Asked(
            versions=versions(),
            storage=root,
            note=note,
            database=_served(study_database),
            tracking=_served(tracking_uri),
            data=data,
            several=several,
        )
    finally:
        storage.remove(file)


def _served(uri: Callable[[], str]) -> str | None:
    """Where a server is asked; None for a file, or where none is named, which is told from here."""
    with suppress(UserError):
        return None if uri().startswith(SQLITE) else uri()
    return None
