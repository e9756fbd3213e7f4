"""What the cluster says of itself: nodes, GPUs, token, keepalive."""

import pytest

from afdcd.commands.doctor import joined
from afdcd.commands.doctor.finding import merged
from afdcd.commands.doctor.joined import keepalive, named, nodes_found, token
from afdcd.environment import KEEPALIVE
from afdcd.search import join


def _node(host: str, identity: str, alive: bool = True, **resources: float) -> dict:
    return {
        "NodeManagerHostname": host,
        "NodeID": identity,
        "Alive": alive,
        "Resources": resources,
    }


def test_nodes_are_told_with_their_gpus_and_the_dead_are_not() -> None:
    h200 = {"CPU": 16.0, "GPU": 8.0, "accelerator_type:H200": 1.0}
    nodes = named(
        [
            _node("head", "0" * 40, CPU=0.0),
            _node("gpu-1", "1" * 40, **h200),
            _node("gpu-2", "2" * 40, **h200),
            _node("gone", "3" * 40, alive=False, CPU=4.0),
        ]
    )
    assert [str(finding) for finding in merged(nodes_found(nodes))] == [
        "ok    node on head: 0 CPU, 0 GPU",
        "ok    node on gpu-1, gpu-2: 16 CPU, 8 GPU (H200)",
    ]


def test_two_nodes_of_one_host_are_told_apart() -> None:
    assert set(named([_node("a", "1" * 40), _node("a", "2" * 40)])) == {"a/111111", "a/222222"}


@pytest.mark.parametrize(
    ("asks", "mode", "said"),
    [
        (True, "token", "ok    token: head:6379 asks for one, RAY_AUTH_MODE is token"),
        (True, "", "MEND  token: head:6379 asks for one, RAY_AUTH_MODE is not set; set RAY_AUTH"),
        (False, "token", "MEND  token: head:6379 asks for none; set RAY_AUTH_MODE=token and RAY"),
        (None, "token", "ok    token: head:6379 does not say whether it asks for one"),
    ],
)
def test_a_cluster_without_token_is_to_be_mended(
    asks: bool | None, mode: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    monkeypatch.setattr(join, "asks_for_token", lambda _: asks)
    (found,) = token()
    assert str(found).startswith(said)


def test_a_local_cluster_has_a_token_of_its_own() -> None:
    assert token() == []


def test_keepalive_is_asked_for_where_a_link_can_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEEPALIVE:
        monkeypatch.delenv(name, raising=False)
    (found,) = keepalive(several=True)
    assert found.found == "a silently cut host is noticed after 420 s"
    wanted = dict(word.split("=") for word in found.mend.split() if "=" in word)
    assert set(wanted) == set(KEEPALIVE)
    for name, value in wanted.items():  # what the remedy says is enough
        monkeypatch.setenv(name, value)
    assert [f.mend for f in keepalive(several=True)] == [""]
    assert keepalive(several=False) == []


def test_the_defaults_are_those_of_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._raylet import Config

    assert {
        f"RAY_{name}": getattr(Config, name)()
        for name in ("grpc_client_keepalive_time_ms", "grpc_client_keepalive_timeout_ms")
    } == joined.KEEPALIVE
