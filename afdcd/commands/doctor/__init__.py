"""The checks of `afdcd doctor`, each a line: ok, or what to do."""

import os
import sys
from collections.abc import Iterable, Iterator
from platform import python_version

from afdcd.commands.doctor import here
from afdcd.commands.doctor.finding import Check, Finding, guarded, hanging, merged
from afdcd.commands.doctor.speed import data_read
from afdcd.commands.versions import versions
from afdcd.config import UserError
from afdcd.environment import VARIABLES, given, ray_address
from afdcd.text import shown

HERE: tuple[Check, ...] = (
    here.machine,
    here.accelerator,
    here.bytecode,
    here.storage_here,
    here.database_here,
    here.mlflow_here,
)


def execute(*, from_worker: bool = False, data: str | None = None) -> int:
    """Print every finding; 1 if anything is to be mended."""
    print(versions())
    print("\n".join(f"{name}={value}" for name, value in _variables()))
    findings = [*_printed(_here(data)), *_printed(cluster(from_worker, data))]
    status = int(any(finding.mend for finding in findings))
    if hanging():
        sys.stdout.flush()
        os._exit(status)  # pyarrow would wait for its store for two minutes more
    return status


def _printed(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Each is told when it is found: the next may take a minute."""
    for finding in findings:
        print(finding, flush=True)
        yield finding


def _variables() -> list[tuple[str, str]]:
    """What is set, secrets and passwords left out."""
    values = [(variable, given(variable.name)) for variable in VARIABLES]
    return [(v.name, "(set)" if v.secret else shown(value)) for v, value in values if value]


def _here(data: str | None) -> Iterator[Finding]:
    def read() -> list[Finding]:
        """Data."""
        return data_read(data) if data else []

    for check in (*HERE, read):
        yield from guarded(check)


def cluster(from_worker: bool, data: str | None) -> Iterator[Finding]:
    """Ray, and what its nodes find."""
    import ray

    from afdcd.commands.doctor.joined import keepalive, named, nodes_found, token
    from afdcd.search.cluster import visited

    try:
        with visited() as found:
            where = ray_address() or "a local cluster starts"
            total = f"{found.nodes} node(s), {found.cpus:g} CPU, {found.gpus:g} GPU"
            # Nothing to mend: an autoscaler takes nodes away.
            gone = len(ray.nodes()) - found.nodes
            total += f" ({gone} gone)" if gone > 0 else ""
            same = f"Ray {ray.__version__} and Python {python_version()}, as here"
            yield Finding("Ray", f"{where}: {total}; {same}")
            nodes = named(ray.nodes())
            yield from merged(nodes_found(nodes))
            yield from guarded(token)
            if from_worker:
                from afdcd.commands.doctor.nodes import found_on

                yield from merged(found_on(nodes, data))
            else:
                yield from keepalive(len(nodes) > 1)
    except UserError as error:
        yield Finding("Ray", "not usable", str(error))
