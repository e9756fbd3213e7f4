"""Whether nodes come by themselves where runs wait for them, and which.

Ray 2.60 says it in three places, none of which every autoscaler fills: the limits of its node groups
in the cluster's own store, the file that `ray up` puts on the head, and the names of node types, which
nodes that were started by hand do not have.
"""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from afdcd.search.capacity import Kind

HEAD_FILE = "~/ray_bootstrap_config.yaml"
BY_HAND = "node_"  # what Ray calls the type of such a node, and then its id


def growth() -> tuple[Kind, ...] | None:
    """What an autoscaler may start; nothing where it does not say; None where there is none."""
    groups, on_head, types = _asked()
    if groups:
        return of_groups(groups)
    if on_head:
        return of_file(on_head)
    return () if any(not name.startswith(BY_HAND) for name in types if name) else None


def of_groups(groups: Iterable[Any]) -> tuple[Kind, ...] | None:
    """Of Ray's `NodeGroupConfig`s; -1 stands for no limit."""
    grows = any(g.max_count == -1 or g.max_count > g.min_count for g in groups)
    limit = {g.name: math.inf if g.max_count == -1 else g.max_count for g in groups}
    return tuple(Kind(dict(g.resources), limit[g.name]) for g in groups) if grows else None


def of_file(config: Mapping[str, Any]) -> tuple[Kind, ...] | None:
    """Of a cluster file. Types without `resources` have what their machine turns out to have."""
    types = dict(config.get("available_node_types") or {})
    types.pop(config.get("head_node_type"), None)
    most = config.get("max_workers", 2)  # Ray's own default
    counts = {name: min(kind.get("max_workers", 0), most) for name, kind in types.items()}
    if not any(counts[name] > kind.get("min_workers", 0) for name, kind in types.items()):
        return None
    if any(not kind.get("resources") for kind in types.values()):
        return ()
    return tuple(Kind(kind["resources"], counts[name]) for name, kind in types.items())


def _asked() -> tuple[list[Any], Mapping[str, Any], list[str]]:
    """What the three places say."""
    import ray
    from ray._private.state import state
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.experimental.internal_kv import _internal_kv_get

    config = state.get_cluster_config()
    status = get_cluster_status(ray.get_runtime_context().gcs_address)
    types = [node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes)]
    types += [launch.ray_node_type_name for launch in status.pending_launches]
    # Ray's first autoscaler reports there, its second in the status.
    first = json.loads(_internal_kv_get("__autoscaling_status") or b"{}")
    types += (first.get("autoscaler_report") or {}).get("active_nodes") or {}
    return list(config.node_group_configs) if config else [], _head_file(), types


def _head_file() -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(Path(HEAD_FILE).expanduser().read_text())
    except (OSError, RuntimeError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
