"""Which placement groups are taken back: those that stay empty, not those about to be filled."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.util.state.exception import RayStateApiException

from afdcd.search import reclaim
from afdcd.search.reclaim import LIMIT, LIVING, PATIENCE, Reclaimer, workers_groups

JOB, OTHER = "01000000", "02000000"


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


def group(number: int, job: str = JOB) -> str:
    return f"{number:028x}{job}"


def held(group: str, resource: str = "CPU") -> dict[str, float]:
    """What a node of Ray 2.60 lists for one bundle of a placement group."""
    names = (f"{resource}_group_{group}", f"{resource}_group_0_{group}")
    bundles = (f"bundle_group_{group}", f"bundle_group_0_{group}")
    return {"CPU": 2.0, "node:10.0.0.1": 1.0, **dict.fromkeys([*names, *bundles], 1.0)}


class Ray:
    """Nodes and a state API that answers as the real one: all, or an error above `LIMIT`.

    2,000 trials have ended, and each left eight dead actors.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.nodes: dict[str, dict[str, float]] = {}
        self.actors = [
            SimpleNamespace(state="DEAD", job_id=JOB, placement_group_id=group(trial))
            for trial in range(2_000)
            for _ in range(8)
        ]
        self.taken: list[str] = []
        self.detached: set[str] = set()
        self.jobs = [{"JobID": JOB, "IsDead": False}, {"JobID": OTHER, "IsDead": True}]
        self.silent: tuple[str, ...] = ()
        self.cuts = False  # as with a higher RAY_MAX_LIMIT_FROM_DATA_SOURCE: a warning, no error
        context = SimpleNamespace(get_job_id=lambda: JOB)
        monkeypatch.setattr(reclaim.ray, "get_runtime_context", lambda: context)
        monkeypatch.setattr(reclaim.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(reclaim, "total_resources_per_node", lambda: self.nodes)
        monkeypatch.setattr(reclaim, "list_actors", self.list_actors)
        monkeypatch.setattr(reclaim, "jobs", lambda: self.jobs)
        monkeypatch.setattr(
            reclaim,
            "get_placement_group",
            lambda found, address: SimpleNamespace(is_detached=found in self.detached),
        )
        monkeypatch.setattr(
            reclaim, "remove_placement_group", lambda found: self.taken.append(found.id.hex())
        )

    def list_actors(self, api: str, filters: Any, limit: int, detail: bool) -> list[Any]:
        asked = {key: value for key, _, value in filters}
        if asked.get("state") in self.silent:
            raise RayStateApiException("Failed to make request")
        found = [a for a in self.actors if all(getattr(a, k) == v for k, v in asked.items())]
        if len(found) > LIMIT and not self.cuts:
            raise RayStateApiException(f"{LIMIT} of {len(found)} actors are shown")
        return found[:limit]

    def live(self, number: int, state: str, job: str = JOB) -> None:
        found = SimpleNamespace(state=state, job_id=job, placement_group_id=group(number, job))
        self.actors.append(found)

    def pass_time(self, reclaimer: Reclaimer, seconds: int = 60) -> list[str]:
        for _ in range(seconds):
            reclaimer.look()
            self.now += 1.0
        return self.taken


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Ray:
    return Ray(monkeypatch)


def test_after_two_thousand_trials_a_forsaken_group_is_still_taken_back(fake: Ray) -> None:
    fake.nodes = {"a": held(group(1_999))}
    assert set(fake.pass_time(Reclaimer(""))) == {group(1_999)}


@pytest.mark.parametrize("state", LIVING)
def test_a_group_with_a_living_actor_is_never_taken(fake: Ray, state: str) -> None:
    fake.nodes = {"a": held(group(2_000)), "b": held(group(2_001))}
    fake.live(2_000, state)
    assert set(fake.pass_time(Reclaimer(""), 600)) == {group(2_001)}


@pytest.mark.parametrize("state", LIVING)
def test_half_an_answer_takes_nothing(fake: Ray, state: str) -> None:
    fake.nodes = {"a": held(group(2_000))}
    fake.live(2_000, "ALIVE")
    fake.silent = (state,)
    assert fake.pass_time(Reclaimer(""), 600) == []


@pytest.mark.parametrize("cuts", [False, True])
def test_more_living_actors_than_an_answer_holds_take_nothing(fake: Ray, cuts: bool) -> None:
    fake.cuts = cuts
    fake.nodes = {"a": held(group(2_000))}
    for _ in range(LIMIT):
        fake.live(1, "ALIVE")
    fake.live(2_000, "ALIVE")
    assert fake.pass_time(Reclaimer(""), 600) == []


def test_groups_of_others_and_of_tune_are_let_be() -> None:
    mine, theirs, tune = group(1), group(2, OTHER), group(3)
    nodes = {"head": held(tune, "node:__internal_head__"), "a": held(mine), "b": held(theirs)}
    assert workers_groups(nodes, JOB) == [mine]
    assert workers_groups({"a": held(mine), "b": held(mine)}, JOB) == [mine]  # two workers


def test_the_groups_of_a_dead_driver_are_taken_back(fake: Ray) -> None:
    """Killed while its node was away: Ray forgot them, and placed them when the node was back."""
    fake.nodes = {"a": held(group(1, OTHER)), "b": held(group(2, OTHER))}
    fake.live(2, "ALIVE", OTHER)  # a detached actor may use its group
    assert set(fake.pass_time(Reclaimer(""))) == {group(1, OTHER)}


def test_those_of_a_living_driver_and_those_left_on_purpose_are_not(fake: Ray) -> None:
    fake.nodes = {"a": held(group(1, OTHER)), "b": held(group(2, "03000000"))}
    fake.jobs.append({"JobID": "03000000", "IsDead": False})
    fake.detached = {group(1, OTHER)}
    assert fake.pass_time(Reclaimer(""), 600) == []
