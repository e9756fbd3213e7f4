"""The image is built from docker/Dockerfile and runs as the manifests say: a number, no writable root."""

import hashlib
import json
import re
from collections.abc import Iterator

import pytest

from tests.cluster.containers import ROOT, Containers, containers

IMAGE = "localhost/afdcd-test"
HARDENED = ("--read-only", "--user=1000:1000", "--cap-drop=all", "--security-opt=no-new-privileges")
PLACES = ("--volume=/tmp", "--volume=/home/afdcd", "--shm-size=1g")  # as in compose.yaml
PLANTED = ("docker/.env", ".env", "secret.pem")
SECRET = "very-secret-value"
SHORT = (
    *("search_spaces/quickstart.yaml", "study.trials=2", "study.proof.seeds=0", "study.grace=null"),
    *("training.iterations=40", "training.validate_every=20"),
    *("pair.teacher.train.iterations=40", "pair.teacher.train.validate_every=20"),
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600), pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def made() -> Iterator[Containers]:
    """The image, built from a checkout with secrets lying about."""
    found = containers()
    planted = [ROOT / name for name in PLANTED if not (ROOT / name).exists()]
    try:
        for file in planted:
            file.write_text(SECRET)
        build_image(found)
        yield found
    finally:
        for file in planted:
            file.unlink()


def build_image(made: Containers) -> None:
    options = ("--target=cpu", "--build-arg=COMMIT=c0ffee")
    made.build(IMAGE, ROOT / "docker" / "Dockerfile", ROOT, *options)


def _printed(made: Containers, *command: str, options: tuple[str, ...] = ()) -> str:
    return made.podman("run", "--rm", *HARDENED, *PLACES, *options, IMAGE, *command).stdout


LOOK = f"""
grep -rl {SECRET} /opt /home /etc 2>/dev/null
for tool in gcc g++ make git uv; do command -v $tool; done
ls /opt/venv/bin | grep -x -e uv -e pip -e pytest
ls -d /build 2>/dev/null
true
"""


def test_no_secret_and_no_build_tool_is_in_a_layer(made: Containers) -> None:
    assert not _printed(made, "sh", "-c", LOOK)


def test_what_it_is_stands_in_its_labels(made: Containers) -> None:
    (about,) = json.loads(made.podman("image", "inspect", IMAGE).stdout)
    assert about["Labels"]["org.opencontainers.image.revision"] == "c0ffee"
    assert about["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.match(r"afdcd \S+ \(c0ffee\)", _printed(made, "afdcd", "--version"))


def test_the_size_of_each_layer_is_told(
    made: Containers, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a change of the code does not bring the packages along."""
    told = made.podman(
        "history", "--format", "{{.Size}}\t{{.CreatedBy}}", IMAGE
    ).stdout.splitlines()
    with capsys.disabled():
        print("", *(line[:110] for line in told if not line.startswith("0 B")), sep="\n")
    code = next(line for line in told if "COPY" in line)  # the newest comes first
    size, unit = code.split()[:2]
    assert unit in ("kB", "MB")
    assert float(size) < 20


TRY = """
id -u
for place in / /opt/afdcd /opt/venv /etc; do touch $place/x 2>/dev/null && echo wrote $place; done
for place in /tmp /home/afdcd /dev/shm; do touch $place/x || echo cannot write $place; done
grep CapEff /proc/self/status
"""


def test_it_is_nobody_and_can_write_nowhere_but_where_it_must(made: Containers) -> None:
    assert _printed(made, "sh", "-c", TRY).split() == ["1000", "CapEff:", "0000000000000000"]


def test_a_search_ends_inside_it(made: Containers) -> None:
    """`afdcd tune` on the quickstart space: teacher, runs, registration."""
    options = ("--env=AFDCD_STORAGE=/tmp/runs", "--memory=8g")
    told = _printed(made, "python", "-m", "afdcd.tune", *SHORT, options=options)
    assert "models:/quickstart@candidate" in told


def test_it_holds_this_code_and_what_the_lock_names(made: Containers) -> None:
    files = ("environment.py", "search/study.py", "training/worker.py")
    inside = _printed(made, "sh", "-c", f"cd /opt/afdcd/afdcd && sha256sum {' '.join(files)}")
    for line in inside.splitlines():
        digest, name = line.split()
        assert hashlib.sha256((ROOT / "afdcd" / name).read_bytes()).hexdigest() == digest
    lock = (ROOT / "docker" / "requirements.lock").read_text()
    packages = ("ray", "torch", "mlflow", "optuna")
    say = f"import importlib.metadata as m; print(*(m.version(n) for n in {packages}))"
    found = _printed(made, "python", "-c", say).split()
    for name, version in zip(packages, found, strict=True):
        assert f"\n{name}=={version} " in f"\n{lock}"
