"""The Ray cluster a study runs on: started here, or the one this process was submitted to."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import ray

from afdcd.config import UserError
from afdcd.environment import ray_address, verbose
from afdcd.search.local_cluster import free_port, session_folder, set_token
from afdcd.text import first_line
from afdcd.training.resources import ResourcesConfig

# A trial's own actor needs some resource that is never the workers': a thousandth of the head
# node keeps it, and with it the study's logic, off nodes that come and go.
TRIAL_RESOURCES = {"node:__internal_head__": 0.001}


@dataclass(frozen=True)
class Cluster:
    cpus: float
    gpus: float
    nodes: int
    api: str = ""  # URL of the dashboard, which answers questions about the cluster
    stopping: threading.Event = field(default_factory=threading.Event)  # set by SIGTERM

    def uses_gpu(self, resources: ResourcesConfig) -> bool:
        return resources.device == "gpu" or (resources.device == "auto" and self.gpus >= 1)

    def alone(self, resources: ResourcesConfig) -> ResourcesConfig:
        """For a run beside which nothing else runs: on one CPU host, all of its cores."""
        if self.uses_gpu(resources) or self.nodes > 1:
            return resources
        share = max(resources.cpus_per_worker, self.cpus // resources.workers)
        return resources.updated(cpus_per_worker=share)

    def capacity(self, resources: ResourcesConfig) -> int:
        """How many trials of this kind run at the same time.

        Raises:
            UserError: not even one fits.
        """
        room = self.cpus / (resources.workers * resources.cpus_per_worker)
        wanted = f"{resources.workers} x {resources.cpus_per_worker:g} CPU"
        if self.uses_gpu(resources):
            room = min(room, self.gpus / resources.workers)
            wanted += f" and {resources.workers} GPU"
        if room < 1:
            raise UserError(
                f"one trial needs {wanted}, the cluster has {self.cpus:g} CPU and {self.gpus:g} "
                "GPU: lower resources.workers or resources.cpus_per_worker, or add nodes"
            )
        return int(room)


@contextmanager
def connect() -> Iterator[Cluster]:
    """Connect to the cluster in RAY_ADDRESS (a submitted job's own), else start a local one."""
    environment = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5"}
    address = ray_address()
    if address:
        # Stopped trials give their workers back through the state API, which must find this
        # cluster even where several run on one host.
        environment["RAY_ADDRESS"] = address
        _answers(address)
        try:
            context = ray.init(runtime_env={"env_vars": environment}, log_to_driver=verbose())
        except (OSError, RuntimeError, ValueError, AssertionError) as error:
            raise _no_cluster(address, error) from None
    else:
        context = _start(environment)
    total = ray.cluster_resources()
    api = f"http://{context.dashboard_url}"
    cluster = Cluster(total.get("CPU", 0.0), total.get("GPU", 0.0), len(ray.nodes()), api)

    def stop(number: int, frame: FrameType | None) -> None:
        # `ray job stop` sends SIGTERM; Tune ends a run in order on SIGINT only.
        cluster.stopping.set()
        os.kill(os.getpid(), signal.SIGINT)

    # After ray.init, which installs a handler of its own.
    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield cluster
    finally:
        signal.signal(signal.SIGTERM, previous)
        ray.shutdown()


def _start(environment: dict[str, str]) -> Any:
    """A cluster on this machine, reached from here alone, that ends with this process.

    Raises:
        UserError: what of this machine keeps Ray from starting.
    """
    # Ray warns that it protects the new cluster with a token, as it should.
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)
    set_token()
    port = free_port()
    environment["RAY_API_SERVER_ADDRESS"] = f"http://127.0.0.1:{port}"
    folder = session_folder()
    try:
        return ray.init(
            address="local",
            include_dashboard=True,
            dashboard_host="127.0.0.1",
            dashboard_port=port,
            runtime_env={"env_vars": environment},
            log_to_driver=verbose(),
            logging_level="WARNING",
            _temp_dir=folder,
        )
    except (OSError, RuntimeError, ValueError, AssertionError, KeyError) as error:
        raise UserError(
            f"no Ray cluster can be started on this machine ({first_line(error)}); its logs are in {folder}; "
            "`python -m afdcd doctor` says what this machine lacks"
        ) from None


def _answers(address: str) -> None:
    """Fail in seconds where ray.init would try for a minute; `auto` and names are Ray's to find."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, OverflowError, ValueError) as error:
        raise _no_cluster(address, error) from None


def _no_cluster(address: str, error: Exception) -> UserError:
    return UserError(
        f"RAY_ADDRESS {address}: no Ray cluster there ({first_line(error)}); start it, correct "
        "RAY_ADDRESS, or unset it to start a local cluster"
    )
