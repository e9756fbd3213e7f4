"""What keeps a process out of a cluster that runs: one line each, at once."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import ray
from ray._private.utils import check_version_info
from ray._raylet import AuthenticationTokenLoader, Config
from ray.core.generated import gcs_service_pb2 as messages
from ray.core.generated import gcs_service_pb2_grpc as services
from ray.exceptions import AuthenticationError

from afdcd.config import UserError
from afdcd.search import join as joining
from afdcd.search.join import asks_for_token, join

TOKEN = "a" * 64


class _Head(services.NodeInfoGcsServiceServicer):
    """The one question of a head that is asked before Ray joins."""

    token: str | None = TOKEN

    def GetClusterId(self, request: object, context: grpc.ServicerContext) -> object:  # noqa: N802
        sent = dict(context.invocation_metadata()).get("authorization")
        if self.token and sent != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return messages.GetClusterIdReply()


@pytest.fixture
def head() -> Iterator[tuple[_Head, str]]:
    server, servicer = grpc.server(ThreadPoolExecutor(2)), _Head()
    services.add_NodeInfoGcsServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def ray_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Sets Ray's variables, which it reads once; afterwards it reads them as they were."""

    def read(mode: str, token: str) -> None:
        for name, value in (("RAY_AUTH_MODE", mode), ("RAY_AUTH_TOKEN", token)):
            monkeypatch.setenv(name, value)
            if not value:
                monkeypatch.delenv(name)
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()

    monkeypatch.setenv("HOME", "/nonexistent")  # no ~/.ray/auth_token
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    before = [os.environ.get(name, "") for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")]
    yield read
    read(*before)


@pytest.fixture(autouse=True)
def _never_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: "joined")


@pytest.mark.parametrize(
    ("mode", "token", "said"),
    [
        (
            "",
            "",
            "asks for a token, and RAY_AUTH_MODE is not `token` here; set RAY_AUTH_MODE=token",
        ),
        ("", TOKEN, "asks for a token, and RAY_AUTH_MODE is not `token` here"),
        ("token", "", "asks for a token, and there is none here; set RAY_AUTH_MODE=token and RAY"),
        ("token", "b" * 64, "the token here is not the cluster's; .* `ray get-auth-token` prints"),
    ],
)
def test_a_token_that_is_missing_or_wrong_is_one_line(
    mode: str, token: str, said: str, head: tuple[_Head, str], ray_reads
) -> None:
    ray_reads(mode, token)
    with pytest.raises(UserError, match=said) as error:
        join(head[1], {})
    assert str(error.value).startswith(f"RAY_ADDRESS {head[1]}: ")
    assert "\n" not in str(error.value)
    assert not token or token not in str(error.value)


def test_the_right_token_opens(head: tuple[_Head, str], ray_reads) -> None:
    ray_reads("token", TOKEN)
    assert join(head[1], {}) == "joined"
    assert join(f"ray://{head[1]}", {}) == "joined"


def test_a_cluster_says_whether_it_asks_for_a_token(head: tuple[_Head, str]) -> None:
    assert asks_for_token(head[1]) is True
    head[0].token = None
    assert asks_for_token(head[1]) is False


def test_a_port_that_is_no_cluster_s_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_SECONDS", 0.2)
    assert asks_for_token("127.0.0.1:1") is None


def test_other_versions_are_told_with_both_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch, head: tuple[_Head, str], ray_reads
) -> None:
    """The text is Ray's own: its version is looked for there."""
    ray_reads("token", TOKEN)
    there = {"ray_version": "2.59.1", "python_version": "3.12.4"}
    monkeypatch.setattr(ray, "init", lambda **_: check_version_info(there, "node 10.0.0.1"))
    with pytest.raises(UserError) as error:
        join(head[1], {})
    text = str(error.value)
    assert f"runs Ray 2.59.1 on Python 3.12.4, this process Ray {ray.__version__} on" in text
    assert "`ray job submit`" in text
    assert "\n" not in text


def test_an_address_that_ray_finds_itself_is_not_knocked_at(
    monkeypatch: pytest.MonkeyPatch, ray_reads
) -> None:
    def refused(**_: object) -> None:
        raise AuthenticationError("no token")

    ray_reads("", "")
    monkeypatch.setattr(ray, "init", refused)
    with pytest.raises(UserError, match="RAY_ADDRESS auto: the cluster asks for a token"):
        join("auto", {})


def test_where_no_cluster_is_one_line_says_so() -> None:
    with pytest.raises(UserError, match=r"RAY_ADDRESS 127\.0\.0\.1:1: no Ray cluster there"):
        join("127.0.0.1:1", {})
