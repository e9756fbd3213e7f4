"""A study's whole world on hosts of their own: PostgreSQL, MLflow and an S3 store; a head; two workers.

Each worker host has one CPU. What a supervisor would start again after its end is started again while
anything is waited for: `ray start --block` of the head and of the workers. A test disturbs it by
`host.cut()` and `host.heal()`, by `kill(host)` and `start_ray(host)`, or, to drain a node, by what
`node_id(host)` names.
"""

import contextlib
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest
import requests
from botocore.exceptions import BotoCoreError

from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from tests.cluster.hosts import NETWORK, Host, Switch, hosts
from tests.faults.stand import OURS, RAY, STAYS, Service, Stand, _answers, until
from tests.running import save_teacher
from tests.stores import Postgres

# As every process of Ray has them in production: a host that falls silent is noticed in 15 s, not 420 s.
KEEPALIVE = {
    "RAY_grpc_client_keepalive_time_ms": "10000",
    "RAY_grpc_client_keepalive_timeout_ms": "5000",
}
PATIENCE = 600.0  # seconds for whatever a cluster does on two busy cores
MIB_100 = "--object-store-memory=100000000"


class Database(Postgres):
    """A PostgreSQL server on a host, reached by its address and with a password."""

    def __init__(self, folder: Path, host: Host, password: str) -> None:
        super().__init__(folder)
        self._host, self._password = host, password
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NETWORK}.0/24 scram-sha-256\n")
        self.start_by: Callable[[list[str]], object] = lambda command: None

    def start(self) -> None:
        options = ["listen_addresses=*", f"unix_socket_directories={self._folder}", "fsync=off"]
        command = ["runuser", "-u", "postgres", "--", str(self._programs / "postgres"), "-D"]
        command += [str(self._data), *(word for option in options for word in ("-c", option))]
        self.start_by(command)
        until("PostgreSQL", lambda: (self._folder / ".s.PGSQL.5432").exists())
        ask = ["psql", "-h", self._folder, "-U", "afdcd", "-d", "postgres", "-c"]
        self._run(*ask, f"alter role afdcd password '{self._password}'")

    def stop(self) -> None:
        """It ends with its host."""

    def database(self, name: str) -> str:
        super().database(name)
        return f"postgresql://afdcd@{self._host.address}:5432/{name}"


class RayHosts(Stand):
    """The servers, the head and the workers, and the environment that leads a study to them."""

    def __init__(self, folder: Path, switch: Switch, machines: list[Host]) -> None:
        super().__init__(folder)
        self.switch = switch
        self.services, self.head, *self.workers = machines
        self._nodes_of: dict[str, Service] = {}
        password, here = secrets.token_hex(16), self.services.address
        shutil.rmtree(folder / "pg")
        (folder / "pg").mkdir()
        self.postgres = Database(folder / "pg", self.services, password)
        self.postgres.start_by = lambda command: self._on(self.services, command)
        self.api = f"http://{self.head.address}:8265"
        self.uri = f"http://{here}:5000"
        self.environment |= KEEPALIVE | {
            "AFDCD_STORAGE": "s3://afdcd/runs",
            "AFDCD_STUDY_DB": f"postgresql://afdcd@{here}:5432/studies",
            "PGPASSWORD": password,
            "MLFLOW_TRACKING_URI": self.uri,
            "AWS_ENDPOINT_URL": f"http://{here}:8333",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    def start(self) -> None:
        self._start_services()
        # One after the other: Ray gives each 30 seconds, which many at once on two cores may not keep.
        for number, host in enumerate((self.head, *self.workers), start=1):
            self.start_ray(host)
            self.until(host.name, lambda number=number: self.nodes() == number)
        images = SyntheticConfig(height=64, width=64, train=36, val=4, test=6)
        prepare_synthetic(self.root, images)
        save_teacher(self.teacher)

    def ready(self) -> None:
        self.until("the nodes", lambda: self.nodes() == 1 + len(self.workers))

    def nodes(self) -> int:
        """How many the cluster believes alive."""
        return self._nodes()

    def start_ray(self, host: Host) -> None:
        """`ray start --block` on a host, which is switched on first if need be."""
        if not host.is_on():
            host.start()
        role = ["--head", "--port=6379", "--dashboard-host=0.0.0.0", "--num-cpus=0"]
        if host is not self.head:
            role = [f"--address={self.head.address}:6379", "--num-cpus=1"]
        command = [RAY, "start", "--block", f"--node-ip-address={host.address}", *role, MIB_100]
        self._nodes_of[host.name] = self._on(host, command)

    def kill(self, host: Host) -> None:
        """The machine is gone, and stays away until somebody starts it."""
        host.kill()
        self._nodes_of.pop(host.name).kill()

    def until(self, what: str, true: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait for something; meanwhile, what has ended by itself is started again."""

        def supervised() -> bool:
            for host in (self.head, *self.workers):
                service = self._nodes_of.get(host.name)
                if service and service.process and service.process.poll() is not None:
                    self.start_ray(host)
            return true()

        until(what, supervised, patience)

    def trainers(self, host: Host) -> list[psutil.Process]:
        """The processes of a host that train."""
        return [process for process, title in _titles(host) if "RayTrainWorker" in title]

    def node_id(self, host: Host) -> str:
        """What the cluster calls the living node of a host, in hexadecimal."""
        nodes = self._ask("nodes?view=summary").get("summary", [])
        living = [node for node in nodes if node["raylet"].get("state") == "ALIVE"]
        (found,) = [node["raylet"]["nodeId"] for node in living if node["ip"] == host.address]
        return str(found)

    def processes(self) -> list[tuple[psutil.Process, str]]:
        found = [entry for host in (self.head, *self.workers) for entry in _titles(host)]
        return [(p, t) for p, t in found if not any(word in t for word in STAYS)]

    def close(self) -> None:
        for service in reversed(self._services):
            service.kill()

    def _start_services(self) -> None:
        self.postgres.start()
        self.postgres.database("studies")
        backend = self.postgres.database("mlflow")
        moto = str(Path(sys.executable).parent / "moto_server")
        self._on(self.services, [moto, "--host", "0.0.0.0", "--port", "8333"])
        self.until("the store", self._made_buckets)
        command = [sys.executable, "-m", "mlflow", "server", "--host", "0.0.0.0", "--port", "5000"]
        command += ["--workers", "1", "--serve-artifacts", "--backend-store-uri", backend]
        command += ["--artifacts-destination", "s3://mlflow/artifacts"]
        self._on(self.services, command)
        self.until("MLflow", lambda: _answers(f"{self.uri}/health"))

    def _made_buckets(self) -> bool:
        with contextlib.suppress(BotoCoreError):
            client = boto3.client(
                "s3",
                endpoint_url=self.environment["AWS_ENDPOINT_URL"],
                region_name="us-east-1",
                aws_access_key_id="tests",
                aws_secret_access_key="tests",
            )
            for bucket in ("afdcd", "mlflow"):
                client.create_bucket(Bucket=bucket)
            return True
        return False

    def _on(self, host: Host, command: list[str]) -> Service:
        line = host.enter(command, folder=self.folder)
        return self.service(line, MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")


class Job:
    """A command that was given to the head over its Jobs API, as often as it must be."""

    def __init__(self, here: RayHosts, entrypoint: str) -> None:
        self._here, self._entrypoint = here, entrypoint
        self._earlier, self._seen = "", ""
        self.attempts = 0

    def submit(self) -> None:
        self._earlier, self._seen = self._earlier + self._seen, ""
        self.attempts += 1
        self.id = f"job-{secrets.token_hex(4)}"
        body = {"entrypoint": self._entrypoint, "submission_id": self.id}
        self._here.until("the Jobs API", lambda: self._call("post", "", json=body) is not None)

    def printed(self) -> str:
        """By all attempts. What a dead head has not handed out is lost."""
        answer = self._call("get", f"{self.id}/logs")
        self._seen = answer["logs"] if answer else self._seen
        return self._earlier + self._seen

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.printed()))

    def has_succeeded(self) -> bool:
        """Raises AssertionError where the command ended otherwise."""
        status = (self._call("get", self.id) or {}).get("status")
        assert status not in ("FAILED", "STOPPED"), self.printed()
        return status == "SUCCEEDED"

    def _call(self, method: str, path: str, **given: Any) -> Any:
        """The answer; None where there is none, or another than a good one."""
        token = {"Authorization": f"Bearer {self._here.environment['RAY_AUTH_TOKEN']}"}
        place = f"{self._here.api}/api/jobs/{path}"
        with contextlib.suppress(requests.RequestException, ValueError):
            answer = requests.request(method, place, headers=token, timeout=10, **given)
            return answer.json() if answer.ok else None
        return None


@contextmanager
def ray_hosts() -> Iterator[RayHosts]:
    """The cluster is up; this thread, and what it starts, is at its switch."""
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    folder.chmod(0o755)  # PostgreSQL is another user
    try:
        with hosts("services", "head", "worker1", "worker2") as (switch, machines):
            here = RayHosts(folder, switch, machines)
            with switch.joined(), pytest.MonkeyPatch.context() as patch:
                for name, value in here.environment.items():
                    if name.startswith(("AWS_", "PGPASSWORD", "AFDCD_STORAGE")):
                        patch.setenv(name, value)
                try:
                    here.start()
                    yield here
                finally:
                    here.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _titles(host: Host) -> list[tuple[psutil.Process, str]]:
    """Ray's processes on a host that work for somebody, with their titles."""
    titles = [(process, "".join(words[:1])) for process, words in host.processes()]
    return [(process, title) for process, title in titles if title.startswith(OURS)]
