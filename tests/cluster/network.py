"""What the NetworkPolicies let through, reckoned as a network plugin would, beside what is needed.

Needed is what the environment of a pod names (`http://mlflow:5000`), and the few things that Ray and its
operator need of each other. A connection that is needed and closed, or open and not needed, is an error.
"""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from tests.cluster.manifests import Document, of_kind
from tests.cluster.pods import Pod, environment_of, pods_of
from tests.cluster.references import matches

NAMESPACE = {"kubernetes.io/metadata.name": "afdcd"}
PORTS = {"postgresql": 5432, "http": 80, "https": 443, "redis": 6379}
# Between Ray's pods any port is open; two stand for all: the GCS and one that Ray chose for a worker.
RAY_PORTS = (6379, 23_456)
# Who outside of the namespace may come in, or is spoken to, by the policy's name.
OUTSIDE = {
    "allow-dns": ("kube-system", {53}),
    "allow-operator-to-head": ("ray-system", {8265}),
    "allow-prometheus": ("monitoring", {8080, 44217, 44227}),
    "allow-head-to-kubernetes": (None, {443, 6443}),
}

Connection = tuple[str, str, int]  # from the pod, to the pod, port


def crossed(documents: list[Document]) -> Iterator[str]:
    """Connections inside the namespace that are needed and closed, or open and not needed."""
    pods = pods_of(documents)
    ports = {*PORTS.values(), *RAY_PORTS, 8265, 10001, 8080, 44217, 44227, 5000, 8333, 8888, 9333}
    policies = [d["spec"] for d in of_kind(documents, "NetworkPolicy")]
    needed = {*_named(pods, documents), *_of_ray(pods)}
    for source, target in product(pods, pods):
        if source is target and not source.role:
            continue
        for port in sorted(ports):
            connection = (source.name, target.name, port)
            is_open = _open(policies, source, target, port)
            if connection in needed and not is_open:
                yield f"closed, though it is needed: {source.name} to {target.name} port {port}"
            ray = _are_nodes(source, target)
            if is_open and connection not in needed and not ray:
                yield f"open, though nothing names it: {source.name} to {target.name} port {port}"


def _named(pods: list[Pod], documents: list[Document]) -> Iterator[Connection]:
    for pod in pods:
        for host, port in addresses(pod, documents):
            for target, inner in _behind(host, port, pods, documents):
                yield (pod.name, target.name, inner)


def addresses(pod: Pod, documents: list[Document]) -> set[tuple[str, int]]:
    """Hosts and ports in the environment of a pod, and in the configuration files that it mounts."""
    texts = [v for c in pod.containers for v in environment_of(c, documents).values()]
    maps = {d["metadata"]["name"]: d["data"] for d in of_kind(documents, "ConfigMap")}
    for volume in pod.spec.get("volumes", ()):
        texts += maps.get(volume.get("configMap", {}).get("name"), {}).values()
    found = set()
    for text in texts:
        for url in re.findall(r"\b(?:postgresql|https?|redis)://[^\s\"',]+", text):
            parts = urlsplit(url)
            found.add((parts.hostname or "", parts.port or PORTS[parts.scheme]))
    return found


def _behind(
    host: str, port: int, pods: list[Pod], documents: list[Document]
) -> Iterator[tuple[Pod, int]]:
    for service in of_kind(documents, "Service"):
        if service["metadata"]["name"] != host:
            continue
        target = next(p["targetPort"] for p in service["spec"]["ports"] if p["port"] == port)
        for pod in pods:
            if matches({"matchLabels": service["spec"]["selector"]}, pod.labels):
                named = {p["name"]: p for c in pod.spec["containers"] for p in c.get("ports", ())}
                yield pod, named[target]["containerPort"] if isinstance(target, str) else target


def _of_ray(pods: list[Pod]) -> Iterator[Connection]:
    for source, target in product(pods, pods):
        if _are_nodes(source, target):
            yield from ((source.name, target.name, port) for port in RAY_PORTS)
        if source.role == "submitter" and target.role == "head":
            yield (source.name, target.name, 8265)


def _are_nodes(*pods: Pod) -> bool:
    return all(pod.role in ("head", "worker") for pod in pods)


def _open(policies: list[Any], source: Pod, target: Pod, port: int) -> bool:
    return _lets(policies, "Egress", source, target, port) and _lets(
        policies, "Ingress", target, source, port
    )


def _lets(policies: list[Any], way: str, pod: Pod, other: Pod, port: int) -> bool:
    """Whether any policy on a pod lets a connection through; without a policy all are."""
    of = [p for p in policies if way in p["policyTypes"] and matches(p["podSelector"], pod.labels)]
    rules = [rule for policy in of for rule in policy.get(way.lower(), ())]
    return not of or any(_admits(rule, way, other, port) for rule in rules)


def _admits(rule: Any, way: str, other: Pod, port: int) -> bool:
    ports = rule.get("ports")
    if ports is not None and port not in {p["port"] for p in ports if p.get("protocol") == "TCP"}:
        return False
    peers = rule.get("to" if way == "Egress" else "from")
    return peers is None or any(_is_peer(peer, other) for peer in peers)


def _is_peer(peer: Any, other: Pod) -> bool:
    if "ipBlock" in peer:
        return False  # addresses outside
    if "namespaceSelector" in peer and not matches(peer["namespaceSelector"], NAMESPACE):
        return False
    return matches(peer.get("podSelector"), other.labels)


def outside(documents: list[Document]) -> Iterator[str]:
    """Openings to other namespaces and addresses: the known ones, and external services that are named."""
    policies = {d["metadata"]["name"]: d["spec"] for d in of_kind(documents, "NetworkPolicy")}
    if policies.get("deny-all") != {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}:
        yield "the policy deny-all is missing, or does not deny all"
    for name, spec in policies.items():
        for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
            yield from (f"{name}: {one}" for one in _leaves(name, rule))
    yield from _external(documents, list(policies.values()))


def _leaves(name: str, rule: Any) -> Iterator[str]:
    peers = rule.get("to", rule.get("from"))
    leaves = [p for p in peers or ({},) if not p or "namespaceSelector" in p or "ipBlock" in p]
    if not leaves or all("ipBlock" in peer for peer in leaves):
        return
    if name not in OUTSIDE:
        yield "opens the namespace"
        return
    place, ports = OUTSIDE[name]
    if not {p["port"] for p in rule.get("ports", ())} or {p["port"] for p in rule["ports"]} - ports:
        yield f"opens other ports than {sorted(ports)}"
    if place and any(p["namespaceSelector"] != _is_namespace(place) for p in leaves):
        yield f"opens to others than {place}"


def _is_namespace(name: str) -> Any:
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}


def _external(documents: list[Document], policies: list[Any]) -> Iterator[str]:
    """Each host that is no Service needs an address, and each address a host."""
    services = {d["metadata"]["name"] for d in of_kind(documents, "Service")}
    for pod in pods_of(documents):
        named = {p for host, p in addresses(pod, documents) if host not in services}
        open_to = {
            port["port"]
            for policy in policies
            if matches(policy["podSelector"], pod.labels)
            for rule in policy.get("egress", ())
            if any("ipBlock" in peer for peer in rule.get("to", ()))
            for port in rule["ports"]
        }
        yield from (
            f"{pod.name}: port {p} of an external service is closed" for p in named - open_to
        )
        yield from (f"{pod.name}: port {p} is open, to nothing it names" for p in open_to - named)
