"""`make .venv/installed` and `make lock` on a tiny project, whose index is a folder: no network.

pip and venv are the real ones. uv is the real one too, behind a wheel of its name, where there is one.
"""

import base64
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BESIDE = str(Path(sys.executable).parent)
UV = shutil.which("uv", path=f"{BESIDE}:{os.environ['PATH']}")

pytestmark = pytest.mark.timeout(180)
needs_uv = pytest.mark.skipif(
    UV is None,
    reason="NOT TESTED: no uv beside this Python nor on PATH; make .venv/installed brings it",
)

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "project"
version = "1.0"
dependencies = ["tiny>=1"]
optional-dependencies.dev = ["uv"]
"""

BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "project-1.0-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        for file, text in FILES.items():
            wheel.writestr(file, text)
    return name

FILES = {
    "project.py": "",
    "project-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: project\\nVersion: 1.0\\n",
    "project-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "project-1.0.dist-info/RECORD": "",
}
"""


def _wheel(index: Path, name: str, version: str, file: str, text: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        file: text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).rstrip(b"=")
        lines.append(f"{path},sha256={digest.decode()},{len(content)}\n")
    files[f"{info}/RECORD"] = "".join([*lines, f"{info}/RECORD,,\n"])
    with zipfile.ZipFile(index / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16  # a file that may be run
            archive.writestr(entry, content)


class Project:
    """A folder with install.py, a lock of two packages, and an index of three."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = folder / "index"
        self.venv = folder / ".venv"
        self.lock = folder / "requirements.lock"

    def create(self) -> None:
        self.index.mkdir()
        for script in ("install.py", "install_errors.py"):
            shutil.copy(ROOT / script, self.folder)
        (self.folder / "pyproject.toml").write_text(PYPROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        script = f'#!/bin/sh\n[ "$1" = --version ] && echo "uv 0.1" && exit\nexec {UV} "$@"\n'
        _wheel(self.index, "uv", "0.1", "uv-0.1.data/scripts/uv", script)
        for version in ("1.0", "2.0"):
            _wheel(self.index, "tiny", version, "tiny.py", f"VERSION = {version}")
        self.write_lock()

    def write_lock(self, **sums: str | None) -> None:
        """With the right hashes, or those that are given; None leaves a hash away."""
        lines = []
        for name, version in (("tiny", "1.0"), ("uv", "0.1")):
            file = self.index / f"{name}-{version}-py3-none-any.whl"
            digest = sums.get(name, hashlib.sha256(file.read_bytes()).hexdigest())
            hashed = f" \\\n    --hash=sha256:{digest}" if digest else ""
            lines.append(f"{name}=={version}{hashed}\n")
        self.lock.write_text("".join(lines))

    def copy(self, folder: Path) -> "Project":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
            "UV_OFFLINE": "1",
            "UV_FIND_LINKS": str(self.index),
            "UV_CACHE_DIR": str(self.folder / "cache"),
            **variables,
        }
        command = [sys.executable, "install.py", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )

    def python(self, program: str) -> str:
        command = [str(self.venv / "bin" / "python"), "-c", program]
        return subprocess.check_output(command, text=True, cwd="/").strip()

    def forget_tiny(self) -> None:
        """So that the next install has to fetch it."""
        uninstall = [str(self.venv / "bin" / "python"), "-m", "pip", "uninstall", "--quiet", "-y"]
        subprocess.run([*uninstall, "tiny"], check=True)
        shutil.rmtree(self.folder / "cache")

    @property
    def marks(self) -> list[str]:
        return [path.name for path in self.venv.glob("install*")] if self.venv.is_dir() else []


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A .venv with pip and nothing else, because making one takes seconds; tests copy it."""
    project = Project(tmp_path_factory.mktemp("bare"))
    project.create()
    subprocess.run([sys.executable, "-m", "venv", str(project.venv)], check=True)
    return project


@pytest.fixture(scope="module")
def whole(bare: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Everything installed; tests copy it."""
    project = bare.copy(tmp_path_factory.mktemp("whole") / "project")
    done = project.run()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def fresh(tmp_path: Path) -> Project:
    """As after git clone."""
    project = Project(tmp_path)
    project.create()
    return project


def _one_line(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    assert re.fullmatch(rf"error: {pattern}\n", done.stderr), done.stderr
    assert done.returncode == 2


@needs_uv
def test_installs_what_the_lock_names_and_the_project(whole: Project) -> None:
    assert whole.marks == ["installed"]
    assert whole.python("import project, tiny; print(tiny.VERSION)") == "1.0"


@needs_uv
@pytest.mark.parametrize(
    ("digest", "pattern"),
    [
        ("0" * 64, r"tiny==1\.0: the file that came is not the one .* make lock"),
        (None, r"tiny==1\.0: requirements\.lock has no hash for it\. .* make lock"),
    ],
)
def test_a_changed_or_missing_hash_stops_it(
    whole: Project, tmp_path: Path, digest: str | None, pattern: str
) -> None:
    project = whole.copy(tmp_path / "project")
    project.forget_tiny()
    project.write_lock(tiny=digest)
    _one_line(project.run(), pattern)
    assert project.marks == ["installing"]


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_uv_itself_is_compared_with_its_hash(
    bare: Project, tmp_path: Path, digest: str | None
) -> None:
    project = bare.copy(tmp_path / "project")
    project.write_lock(uv=digest)
    _one_line(project.run(), r"uv==0\.1: .* git checkout requirements\.lock")
    assert project.marks == ["installing"]
    assert not (project.venv / "bin" / "uv").exists()


@needs_uv
def test_lock_mends_a_hash_and_keeps_versions_until_they_are_upgraded(
    whole: Project, tmp_path: Path
) -> None:
    project = whole.copy(tmp_path / "project")
    project.write_lock(tiny="0" * 64)
    assert project.run("lock").returncode == 0
    renewed = project.lock.read_text()
    project.write_lock()
    assert renewed == project.lock.read_text()  # no header, no comment, no address
    assert project.run("lock", "--upgrade").returncode == 0
    assert project.lock.read_text().startswith("tiny==2.0 \\\n    --hash=sha256:")
    assert project.run().returncode == 0
    assert project.python("import tiny; print(tiny.VERSION)") == "2.0"


@needs_uv
def test_a_lock_that_cannot_be_renewed_stays(whole: Project, tmp_path: Path) -> None:
    project = whole.copy(tmp_path / "project")
    before = project.lock.read_text()
    (project.folder / "pyproject.toml").write_text(PYPROJECT.replace("tiny>=1", "tiny>=3"))
    _one_line(project.run("lock"), r".*tiny>=3.*")
    assert project.lock.read_text() == before
    assert not list(project.folder.glob("*.new"))
    assert project.marks == ["installed"]


@needs_uv
def test_half_an_install_is_made_anew_and_a_whole_one_is_added_to(
    whole: Project, tmp_path: Path
) -> None:
    project = whole.copy(tmp_path / "project")
    (module,) = project.venv.glob("lib/*/site-packages/tiny.py")
    own = module.with_name("own.py")
    own.touch()
    assert project.run().returncode == 0
    assert own.exists()
    module.unlink()  # what a full disk or a kill leaves: uv would take the package to be there
    (project.venv / "installed").rename(project.venv / "installing")
    assert project.run().returncode == 0
    assert project.python("import tiny; print(tiny.VERSION)") == "1.0"
    assert not own.exists()


def test_somebody_else_s_environment_of_another_python_is_not_touched(
    bare: Project, tmp_path: Path
) -> None:
    project = bare.copy(tmp_path / "project")
    python = project.venv / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\necho 3 10\n")
    python.chmod(0o755)
    before = sorted(project.venv.rglob("*"))
    _one_line(project.run(), rf"{project.venv} is of Python 3\.10, and not from this command\. .*")
    assert sorted(project.venv.rglob("*")) == before


@needs_uv
def test_an_index_that_cannot_be_reached(whole: Project, tmp_path: Path) -> None:
    project = whole.copy(tmp_path / "project")
    project.forget_tiny()
    closed = "http://127.0.0.1:9/simple"  # the discard port: nobody listens
    done = project.run(
        UV_OFFLINE="0", UV_FIND_LINKS="", UV_DEFAULT_INDEX=closed, UV_HTTP_RETRIES="0"
    )
    _one_line(done, r"the package index cannot be reached .* the same command goes on")
    assert project.marks == ["installing"]


def test_a_place_that_cannot_be_written(fresh: Project) -> None:
    fresh.venv.touch()
    _one_line(fresh.run(), rf"cannot write to {re.escape(str(fresh.venv))}, .*")


def test_a_full_disk_is_named_with_what_is_needed(fresh: Project) -> None:
    """In a mount namespace of its own, so that nobody else sees the small disk."""
    fresh.venv.mkdir()
    mount = f"mount -t tmpfs -o size=8m tmpfs {fresh.venv}"
    private = ["unshare", "--mount", "sh", "-ec"]
    if subprocess.run([*private, mount], capture_output=True).returncode:
        pytest.skip("NOT TESTED: mounting a small disk needs root")
    program = f"{mount}; {sys.executable} install.py || exit $?"
    done = subprocess.run(
        [*private, program], cwd=fresh.folder, capture_output=True, text=True, check=False
    )
    _one_line(done, rf"no space left in {re.escape(str(fresh.venv))} \(\d MB free\)\. .* 7 GB .*")


@pytest.mark.parametrize("version", ["(2, 7, 18)", "(3, 6, 15)", "(3, 10, 13)"])
def test_a_python_that_is_too_old_says_so(fresh: Project, version: str) -> None:
    program = f"import runpy, sys; sys.version_info = {version}; runpy.run_path('install.py')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=fresh.folder, capture_output=True, text=True
    )
    short = re.sub(r"\((\d+), (\d+).*", r"\1\\.\2", version)
    _one_line(done, rf"\S+ is Python {short}; afdcd needs 3\.11 or later: make PYTHON=python3\.11")
    assert not fresh.venv.exists()


def test_real_old_pythons_can_read_that_far(fresh: Project) -> None:
    """Those that pyenv or the system has: Python 2 stops at the syntax of Python 3."""
    found = [*Path.home().glob(".pyenv/versions/*/bin/python"), Path("/usr/bin/python2")]
    code = "import sys; print(sys.version_info < (3, 11))"
    old = [p for p in found if p.exists() and b"True" in subprocess.check_output([p, "-c", code])]
    if not old:
        pytest.skip("NOT TESTED: no old Python here")
    for python in old:
        done = subprocess.run(
            [python, "install.py"], cwd=fresh.folder, capture_output=True, text=True
        )
        _one_line(done, r"\S+ is Python .* afdcd needs 3\.11 or later: .*")


def test_what_is_set_for_pip_counts_for_uv_unless_uv_has_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    install = importlib.import_module("install")
    listed = "global.index-url='https://mirror/simple'\n:env:.cert='/etc/own.pem'\n"
    monkeypatch.setattr(install, "printed_by", lambda *command: listed)
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/uv.pem")
    environment = install.uv_environment()
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert environment["SSL_CERT_FILE"] == "/etc/uv.pem"
