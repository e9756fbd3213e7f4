"""The pods that the operator makes of a RayJob, as `podman kube play` can run them beside compose's services.

What podman 4.3 lacks is left out, and no more: the autoscaler (there is no Kubernetes to ask), GPUs,
projected volumes, memory volumes, which it makes as root's, and ports, which it opens on the machine.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.cluster.containers import Containers
from tests.cluster.manifests import Document, named, of_kind
from tests.cluster.pods import Pod, pods_of

SIZE = {"cpu": "1", "memory": "4Gi"}  # of a test's machine
LEFT_OUT = {"shm", "kubernetes-token"}  # volumes


class Played:
    """The head and some workers of the RayJob `job`, on one network with the services."""

    def __init__(self, made: Containers, documents: list[Document], job: str, image: str) -> None:
        self._made, self._documents, self._image = made, documents, image
        self.job, self.head = named(documents, "RayJob", job), f"{job}-head"
        self._pods = {
            pod.role: pod for pod in pods_of(documents) if pod.name.startswith(f"RayJob/{job} ")
        }

    def start(self, network: str, workers: int, secrets: dict[str, dict[str, str]]) -> None:
        for name, values in secrets.items():
            coded = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
            self._made.podman("secret", "rm", name, check=False)
            self._made.podman("secret", "create", name, "-", input=json.dumps(coded))
        maps = self._made.folder / "maps.yaml"
        maps.write_text(yaml.safe_dump_all(of_kind(self._documents, "ConfigMap")))
        self._file.write_text(yaml.safe_dump_all(self._manifests(workers)))
        play = ("kube", "play", f"--network={network}", f"--configmap={maps}")
        self._made.podman(*play, self._file)

    def stop(self) -> None:
        self._made.podman("kube", "down", self._file, check=False)

    @property
    def container(self) -> str:
        """Podman's name of the head's container."""
        return f"{self.head}-ray"

    @property
    def _file(self) -> Any:
        return self._made.folder / "pods.yaml"

    def _manifests(self, workers: int) -> Iterator[Document]:
        start = "ray start --block --metrics-export-port=8080"
        yield self._manifest(
            self._pods["head"], self.head, f"{start} --head --port=6379 --dashboard-host=0.0.0.0"
        )
        wait = f"until (exec 3<>/dev/tcp/{self.head}/6379) 2>/dev/null; do sleep 1; done"
        for number in range(workers):
            name = f"{self.job['metadata']['name']}-worker-{number}"
            join = f"{wait}; {start} --address={self.head}:6379 --num-cpus=1"
            yield self._manifest(self._pods["worker"], name, join)

    def _manifest(self, pod: Pod, name: str, command: str) -> Document:
        assert pod.group is not None
        words = [f"--{key}={value}" for key, value in pod.group["rayStartParams"].items()]
        (container,) = [c for c in pod.spec["containers"] if c["name"] == "ray"]
        container = {
            **container,
            **{"image": self._image, "imagePullPolicy": "Never"},
            **{"command": ["/bin/bash", "-c"], "args": [" ".join([command, *words])]},
            **{"resources": {"requests": SIZE, "limits": SIZE}},
            "volumeMounts": [m for m in container["volumeMounts"] if m["name"] not in LEFT_OUT],
            "env": [{k: v for k, v in e.items() if k != "by"} for e in container["env"]],
        }
        container.pop("ports", None)  # a worker may name none
        spec = {
            "hostname": name,
            "securityContext": pod.spec["securityContext"],
            "containers": [container],
            "volumes": [v for v in pod.spec["volumes"] if v["name"] not in LEFT_OUT],
        }
        for volume in spec["volumes"]:
            volume["emptyDir"] = {}
        about = {"name": name, "labels": pod.labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}
