"""The Ray cluster a study runs on: started here, or the one this process was submitted to."""

import logging
import math
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import ray

from afdcd.config import UserError
from afdcd.environment import ray_address, set_defaults, verbose
from afdcd.search.autoscaler import growth
from afdcd.search.capacity import HEAD, Bundle, Demand, Kind, check, grown, room
from afdcd.search.join import join
from afdcd.search.local_cluster import free_port, session_folder, set_token
from afdcd.search.orphans import end_orphans
from afdcd.text import first_line
from afdcd.training.resources import ResourcesConfig

# A trial's own actor needs some resource that is never the workers': a thousandth of the head
# node keeps it, and with it the study's logic, off nodes that come and go.
TRIAL_RESOURCES = {HEAD: 0.001}
# Environment of every run: how often its controller asks the workers, which delays start and end.
_RUNS = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}
_OBJECTS = 128 * 2**20  # bytes of the object store: configurations and reports, never data


@dataclass(frozen=True)
class Cluster:
    """What a cluster has.

    Attributes:
        cpus: of all nodes that are alive, as `gpus`.
        api: URL of the dashboard, which answers questions about the cluster.
        stopping: set by Ctrl-C or SIGTERM.
        looping: while Tune is at work.
        machines: what each node that is alive has; where not given, all stands on one.
        growth: what an autoscaler may add; empty: it does not say; None: nodes do not come by themselves.
        measured: is told the device-hours of networks that were measured on it.
    """

    cpus: float
    gpus: float
    nodes: int
    api: str = ""
    stopping: threading.Event = field(default_factory=threading.Event)
    looping: threading.Event = field(default_factory=threading.Event)
    machines: tuple[Bundle, ...] = ()
    growth: tuple[Kind, ...] | None = None
    measured: Callable[[float], None] = lambda hours: None

    @classmethod
    def of(
        cls, machines: tuple[Bundle, ...], growth: tuple[Kind, ...] | None = None, **more: Any
    ) -> "Cluster":
        cpus, gpus = (sum(m.get(name, 0.0) for m in machines) for name in ("CPU", "GPU"))
        return cls(cpus, gpus, len(machines), machines=machines, growth=growth, **more)

    def uses_gpu(self, resources: ResourcesConfig) -> bool:
        comes = any(kind.resources.get("GPU") for kind in self.growth or ())
        return resources.device == "gpu" or (
            resources.device == "auto" and (self.gpus >= 1 or comes)
        )

    def alone(self, resources: ResourcesConfig) -> ResourcesConfig:
        """For a run beside which nothing else runs: on one CPU host all cores, unless it says fewer."""
        if resources.cpus_per_worker or self.uses_gpu(resources) or self.nodes > 1:
            return resources
        return resources.updated(cpus_per_worker=max(1.0, self.cpus // resources.workers))

    def demand(self, resources: ResourcesConfig) -> Demand:
        return Demand(resources.bundle(gpu=self.uses_gpu(resources)), resources.workers)

    def capacity(self, resources: ResourcesConfig, most: int | None = None) -> int:
        """How many trials of this kind to run at the same time.

        With an autoscaler at least one: where there is no place for it, it waits for a node.

        Args:
            most: never more than these; as many where nobody says how far the cluster grows.

        Raises:
            UserError: not even one fits, and no node comes by itself.
        """
        demand = self.demand(resources)
        nodes = self.machines or ({"CPU": self.cpus, "GPU": self.gpus},)
        now = room(nodes, demand)
        if self.growth is None:
            check(nodes, demand)
            return min(now, most or now)
        later = grown(nodes, self.growth, demand) if self.growth else math.inf
        if math.isinf(later):
            return most or max(1, now)
        return max(1, min(int(later), most or int(later)))


@contextmanager
def connect(measured: Callable[[float], None] = lambda hours: None) -> Iterator[Cluster]:
    """Connect to the cluster in RAY_ADDRESS (a submitted job's own), else start a local one.

    Args:
        measured: see `Cluster`.
    """
    address, cluster = ray_address(), _entered(measured)

    def stop(number: int, frame: FrameType | None) -> None:
        """In order the first time, at once the second; `ray job stop` sends SIGTERM."""
        if cluster.stopping.is_set():
            os.write(2, b"ended at once; the same command goes on\n")
            os._exit(128 + number)
        cluster.stopping.set()
        if not cluster.looping.is_set():
            raise KeyboardInterrupt
        os.kill(os.getpid(), signal.SIGUSR1)  # on which Tune winds up, whoever handles Ctrl-C

    # After ray.init, which installs handlers of its own.
    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        if address:
            end_orphans(cluster.api, cluster.stopping.is_set)  # of drivers that were killed
        yield cluster
        if address:
            end_orphans(cluster.api, cluster.stopping.is_set)  # of this one
    finally:
        ray.shutdown()  # which takes seconds, too: a second Ctrl-C still ends it at once
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def visited() -> Iterator[Cluster]:
    """The same cluster, only to look at it: nothing of it is tidied up, no signal is handled."""
    try:
        yield _entered()
    finally:
        ray.shutdown()


def _entered(measured: Callable[[float], None] = lambda hours: None) -> Cluster:
    if not sys.stdout.isatty():
        set_defaults({"RAY_COLOR_PREFIX": "0"})  # Ray would colour a worker's death in a file, too
    address = ray_address()
    # Stopped trials give their workers back through the state API, which must find this cluster
    # even where several run on one host.
    context = join(address, {**_RUNS, "RAY_ADDRESS": address}) if address else _start()
    alive = tuple(node["Resources"] for node in ray.nodes() if node["Alive"])
    comes = growth() if address else None
    return Cluster.of(alive, comes, api=f"http://{context.dashboard_url}", measured=measured)


def _start() -> Any:
    """A cluster of this machine, for this process: as quick and as quiet as Ray can start it.

    Raises:
        UserError: what of this machine keeps Ray from starting.
    """
    set_token()
    port, folder = free_port(), session_folder()
    with (
        _silent("ray._private.authentication", "ray._private.utils"),
        _told(folder),
    ):
        return ray.init(
            address="local",
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            dashboard_port=port,
            runtime_env={
                "env_vars": {
                    **_RUNS,
                    "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{port}",
                    # Processes of every run that wait for what no local machine does: being taken
                    # away by a cloud, being watched by Prometheus.
                    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
                    "RAY_TRAIN_METRICS_ENABLED": "0",
                }
            },
            log_to_driver=verbose(),
            logging_level="WARNING",
            _temp_dir=folder,
            object_store_memory=_OBJECTS,
            _plasma_directory=_object_folder(),
            # A run has eight processes and one of them works. Ray counts them all and warns from
            # four times this number on, which is one per core if it is not given.
            _system_config={"worker_maximum_startup_concurrency": 4 * max(4, os.cpu_count() or 1)},
        )


@contextmanager
def _told(folder: str) -> Iterator[None]:
    """Why Ray does not start, in one line."""
    try:
        yield
    except Exception as error:  # Ray raises all kinds, plain Exception among them
        raise UserError(
            f"no Ray cluster can be started on this machine ({first_line(error)}); its logs are in "
            f"{folder}; `python -m afdcd doctor` says what this machine lacks"
        ) from None


@contextmanager
def _silent(*loggers: str) -> Iterator[None]:
    """Without Ray's warnings that a new cluster has a token and a container has fewer cores.

    Both are as they should be, and there is nothing that a person has to do.
    """
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in loggers}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def _object_folder() -> str:
    """Where objects lie. A container's /dev/shm may be too small for Ray, and ours are few."""
    shared = Path("/dev/shm")
    if shared.is_dir() and shutil.disk_usage(shared).free > 2 * _OBJECTS:
        return str(shared)
    return tempfile.gettempdir()
