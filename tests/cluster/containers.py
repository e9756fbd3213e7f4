"""Images built and containers run by buildah and podman, which need no daemon: all files in one folder.

The base of every image is made of Debian's packages, for no registry is asked. AFDCD_CONTAINERS names
the folder; what was built there once is used again.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IMAGES = Path(__file__).parent / "images"
BASE = "localhost/afdcd-test-base"
NEEDED = ("buildah", "podman", "runc", "debootstrap", "netavark", "iptables")
PACKAGES = "ca-certificates,python3,python3-venv,python3-pip"
# Without systemd and its limits: a container that may open as many files as its host.
CONFIGURATION = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


@dataclass(frozen=True)
class Containers:
    """The images and containers of one folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CONTAINERS_CONF": str(self.folder / "containers.conf")}

    @property
    def program(self) -> Path:
        """`podman` with the options of this folder: what podman-compose is given as podman."""
        return self.folder / "podman"

    def podman(self, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
        """Run podman; a failure shows what it printed."""
        return self._run([str(self.program), *map(str, words)], **options)

    def has(self, image: str) -> bool:
        return self.podman("image", "exists", image, check=False).returncode == 0

    def build(self, image: str, file: Path, context: Path, *options: str) -> str:
        """Build an image as any builder would; the machine's certificates and pip settings are lent."""
        limits = [f"--ulimit={name}=20000:20000" for name in ("nofile", "nproc")]
        how = ["--layers", "--runtime=runc", "--isolation=oci", "--network=host", *limits]
        what = [f"--build-arg=BASE_IMAGE={BASE}", *_lent(), *options, f"--tag={image}"]
        line = ["buildah", *self._store(), "bud", *how, "--format=docker", *what]
        self._run([*line, f"--file={file}", str(context)])
        return image

    def prepare(self) -> None:
        """The folder, its settings, and the base of all images."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "containers.conf").write_text(CONFIGURATION)
        self.program.write_text(f'#!/bin/sh\nexec podman {" ".join(self._store())} "$@"\n')
        self.program.chmod(0o755)
        if not self.has(BASE):
            self._make_base()

    def _make_base(self) -> None:
        root = self.folder / "base"
        shutil.rmtree(root, ignore_errors=True)
        line = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
        self._run([*line, *_mirror()])
        archive = self.folder / "base.tar"
        self._run(["tar", "-C", str(root), "-cf", str(archive), "."])
        self.podman("import", archive, BASE)
        archive.unlink()
        shutil.rmtree(root)

    def _store(self) -> list[str]:
        """buildah's and podman's own options."""
        places = ["--root", f"{self.folder}/store", "--runroot", f"{self.folder}/run"]
        return [*places, "--storage-driver", "overlay"]

    def _run(self, line: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        check = options.pop("check", True)
        given = {"capture_output": True, "text": True, "env": self.environment, **options}
        done = subprocess.run(line, **given)  # type: ignore[call-overload]
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(line)}: exit {done.returncode}\n{done.stdout}{done.stderr}"[-6000:]
            )
        return done


def containers() -> Containers:
    """Those of AFDCD_CONTAINERS; where root or a program is missing, the test is skipped aloud."""
    if os.getuid() != 0:
        pytest.skip("needs root: podman's networks between containers are made by root here")
    missing = [name for name in NEEDED if _where(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: apt-get install {' '.join(missing)}")
    cache = Path(os.environ.get("AFDCD_CONTAINERS") or Path.home() / ".cache" / "afdcd-containers")
    found = Containers(cache)
    found.prepare()
    return found


def _where(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/lib/podman")


def _mirror() -> Iterator[str]:
    """The mirror of Debian that this machine uses."""
    for file in Path("/etc/apt").rglob("*.sources"):
        if found := re.search(r"^URIs: *(\S+)", file.read_text(), re.MULTILINE):
            yield found[1]
            return


def _lent() -> list[str]:
    """What `RUN pip install` needs on a machine behind a proxy: nothing of it stays in the image."""
    links = os.environ.get("PIP_FIND_LINKS", "")
    places = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", links]
    return [f"--volume={place}:{place}:ro" for place in places if place and Path(place).exists()]
