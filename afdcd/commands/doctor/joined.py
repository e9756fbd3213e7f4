"""What `afdcd doctor` asks the cluster itself: its nodes, and how its ports are guarded."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from afdcd.commands.doctor.finding import Finding
from afdcd.environment import KEEPALIVE, auth_mode, given, ray_address

NOTICED = 30.0  # seconds after which a silently cut host should be noticed
_LABEL = "accelerator_type:"  # how Ray says in a node's resources which GPU it has


def named(nodes: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The nodes that are alive, by host; of several on one host the address or id is added."""
    alive = [node for node in nodes if node["Alive"]]
    hosts = Counter(node["NodeManagerHostname"] for node in alive)
    return {
        f"{host}/{node['NodeID'][:6]}" if hosts[host] > 1 else host: node
        for node in alive
        for host in (node["NodeManagerHostname"],)
    }


def nodes_found(nodes: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """CPUs and GPUs, a line for all nodes that have the same."""
    return [Finding("node", _has(node["Resources"]), where=(name,)) for name, node in nodes.items()]


def _has(resources: Mapping[str, float]) -> str:
    kinds = [name.removeprefix(_LABEL) for name in resources if name.startswith(_LABEL)]
    kind = f" ({', '.join(kinds)})" if kinds else ""
    return f"{resources.get('CPU', 0):g} CPU, {resources.get('GPU', 0):g} GPU{kind}"


def token() -> list[Finding]:
    """Token."""
    from afdcd.search.join import asks_for_token

    address = ray_address()
    if not address:
        return []  # of a local cluster, which gets one that nobody else knows
    asks = asks_for_token(address)
    if asks is None:
        return [Finding("token", f"{address} does not say whether it asks for one")]
    if not asks:
        mend = (
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN on every Ray process and start the cluster "
            "again: who reaches its ports may run any program there"
        )
        return [Finding("token", f"{address} asks for none", mend)]
    mode = auth_mode()
    mend = "" if mode else "set RAY_AUTH_MODE=token: else Ray goes by a file in the home folder"
    return [Finding("token", f"{address} asks for one, RAY_AUTH_MODE is {mode or 'not set'}", mend)]


def keepalive(several: bool) -> list[Finding]:
    """Keepalive."""
    if not several:
        return []  # nothing lies between a host and itself
    seconds = {name: _seconds(name, default) for name, default in KEEPALIVE.items()}
    found = f"a silently cut host is noticed after {sum(seconds.values()):g} s"
    wanted = " and ".join(f"{name}={ms}" for name, ms in zip(seconds, (10000, 5000), strict=True))
    mend = f"set {wanted} on every Ray process" if sum(seconds.values()) > NOTICED else ""
    return [Finding("keepalive", found, mend)]


def _seconds(name: str, default: int) -> float:
    value = given(name)
    return (int(value) if value and value.isdigit() else default) / 1000
