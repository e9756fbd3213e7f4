"""Joining a Ray cluster that runs already; what keeps this process out of it is one line."""

import re
import socket
from collections.abc import Mapping
from typing import Any

import grpc
import ray
from ray.exceptions import AuthenticationError

from afdcd.config import UserError
from afdcd.environment import auth_mode, verbose
from afdcd.text import first_line

_SECONDS = 5  # a cluster that runs answers at once
_VERSIONS = re.compile(r"Ray: (\S+)\s+Python: (\S+)")
_SAME_TOKEN = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH) as on its head"


def join(address: str, environment: Mapping[str, str]) -> Any:
    """Connect this process to the cluster at RAY_ADDRESS.

    Args:
        environment: of every run that is started from here.

    Raises:
        UserError: no cluster is there, it wants another token, or it runs other versions.
    """
    _answers(address)
    _lets_in(address)
    try:
        return ray.init(runtime_env={"env_vars": dict(environment)}, log_to_driver=verbose())
    except AuthenticationError:
        raise _no_token(address) from None
    except (OSError, RuntimeError, ValueError, AssertionError) as error:
        raise _other_versions(address, error) or _no_cluster(address, error) from None


def asks_for_token(address: str) -> bool | None:
    """Whether the cluster's own port (not the dashboard) refuses who comes without one.

    None where that cannot be told, e.g. behind TLS.
    """
    code = _knock(address, ())
    if code in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED):
        return code == grpc.StatusCode.UNAUTHENTICATED
    return None


def _answers(address: str) -> None:
    """Fail in seconds where ray.init would try for a minute; `auto` and names are Ray's to find."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS).close()
    except (OSError, OverflowError, ValueError) as error:
        raise _no_cluster(address, error) from None


def _lets_in(address: str) -> None:
    """Ray would try for 20 seconds, and then say that there is no cluster."""
    from ray._private.authentication import grpc_authentication_client_interceptor as ours

    try:
        token = ours._get_authentication_metadata_tuple()
    except AuthenticationError:
        raise _no_token(address) from None
    if ":" in address and _knock(address, token) == grpc.StatusCode.UNAUTHENTICATED:
        raise _wrong_token(address) if token else _no_token(address)


def _knock(address: str, token: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """What the cluster says to a question that costs it nothing."""
    from ray.core.generated import gcs_service_pb2 as messages
    from ray.core.generated import gcs_service_pb2_grpc as services

    options = (("grpc.enable_http_proxy", 0),)
    with grpc.insecure_channel(address.removeprefix("ray://"), options) as channel:
        ask = services.NodeInfoGcsServiceStub(channel).GetClusterId
        try:
            ask(messages.GetClusterIdRequest(), timeout=_SECONDS, metadata=token)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def _no_token(address: str) -> UserError:
    mode = "there is none here" if auth_mode() == "token" else "RAY_AUTH_MODE is not `token` here"
    return UserError(
        f"RAY_ADDRESS {address}: the cluster asks for a token, and {mode}; {_SAME_TOKEN}"
    )


def _wrong_token(address: str) -> UserError:
    return UserError(
        f"RAY_ADDRESS {address}: the token here is not the cluster's; {_SAME_TOKEN}, where "
        "`ray get-auth-token` prints it"
    )


def _other_versions(address: str, error: Exception) -> UserError | None:
    """Ray refuses other versions of itself and of Python; None if that is not why."""
    found = _VERSIONS.findall(str(error)) if str(error).startswith("Version mismatch") else []
    if len(found) != 2:
        return None
    (ray_there, python_there), (ray_here, python_here) = found
    return UserError(
        f"RAY_ADDRESS {address}: the cluster runs Ray {ray_there} on Python {python_there}, this "
        f"process Ray {ray_here} on Python {python_here}; install the cluster's versions here, or "
        "use `ray job submit`, which runs on the cluster's own"
    )


def _no_cluster(address: str, error: Exception) -> UserError:
    return UserError(
        f"RAY_ADDRESS {address}: no Ray cluster there ({first_line(error)}); start it, correct "
        "RAY_ADDRESS, or unset it to start a local cluster"
    )
