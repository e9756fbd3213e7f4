"""Whether the quota holds all that an installation may grow to; what is above it waits for ever."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from tests.cluster.hardening import amount
from tests.cluster.manifests import Document, named, of_kind
from tests.cluster.pods import Pod, pods_of


def beyond(documents: list[Document]) -> Iterator[str]:
    """What the pods ask for at their most, where that is above the quota."""
    hard = named(documents, "ResourceQuota", "afdcd")["spec"]["hard"]
    asked: Counter[str] = Counter()
    for pod in pods_of(documents):
        asked["pods"] += _most(pod)
        for way in ("requests", "limits"):
            for name, value in _sums(pod, way).items():
                asked[f"{way}.{name}"] += _most(pod) * value  # type: ignore[assignment]
    for claim in _claims(documents):
        asked["persistentvolumeclaims"] += 1
        asked["requests.storage"] += claim  # type: ignore[assignment]
    for name, value in asked.items():
        if name in hard and value > amount(hard[name]):
            yield f"{name}: {value:g} may be asked for, the quota has {hard[name]}"


def _most(pod: Pod) -> int:
    return int((pod.group or {}).get("maxReplicas", 1)) if pod.role == "worker" else 1


def _sums(pod: Pod, way: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for container in pod.spec["containers"]:
        for name, value in container.get("resources", {}).get(way, {}).items():
            found[name] = found.get(name, Decimal(0)) + amount(value)
    return found


def _claims(documents: list[Document]) -> Iterator[Decimal]:
    claims = [d["spec"] for d in of_kind(documents, "PersistentVolumeClaim")]
    for document in of_kind(documents, "StatefulSet"):
        claims += [c["spec"] for c in document["spec"].get("volumeClaimTemplates", ())]
    yield from (amount(claim["resources"]["requests"]["storage"]) for claim in claims)
