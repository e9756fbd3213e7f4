"""The wheel works where the repository is not: built, looked into, installed, and used there."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

import afdcd
from afdcd.space_files import space_names
from tests.running import finish, kill_tree

ROOT = Path(__file__).parents[1]
FOLDERS = ("afdcd", "benchmarks", "search_spaces", "tests")
FILES = ("LICENSE", "README.md", "pyproject.toml", "setup.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without a network, from a copy: a build leaves files beside its sources."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, source / folder, ignore=ignored)
    for file in FILES:
        shutil.copy(ROOT / file, source)
    _pip("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(out), str(source))
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel; its dependencies are those that run the tests."""
    folder = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    _pip("--python", python, "install", "--no-deps", "--no-index", str(wheel))
    # A .pth adds the path alone: the .pth files there, an editable afdcd's among them, do not count.
    dependencies = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    return folder


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _start(elsewhere: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The installed Python in a folder that is not the repository."""
    environment = {**os.environ, "AFDCD_STORAGE": str(folder / "runs"), "PYTHONWARNINGS": "ignore"}
    environment.pop("PYTHONPATH", None)
    return subprocess.Popen(
        [str(elsewhere / "bin" / "python"), *arguments],
        env=environment,
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _quickstart(elsewhere: Path, folder: Path) -> str:
    program = (
        "import afdcd, afdcd.space_files as s; print(afdcd.__file__, s.space_path('quickstart'))"
    )
    package, space = finish(_start(elsewhere, folder, "-c", program)).split()
    assert Path(package).is_relative_to(elsewhere)
    assert Path(space).is_relative_to(elsewhere)
    return space


def test_holds_the_package_its_data_and_the_licence_and_no_more(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = HeaderParser().parsestr(
            archive.read(f"afdcd-{afdcd.__version__}.dist-info/METADATA").decode()
        )
    in_package = {path for path in (ROOT / "afdcd").rglob("*") if path.suffix in (".py", ".csv")}
    expected = {str(path.relative_to(ROOT)) for path in in_package}
    expected |= {f"afdcd/search_spaces/{name}.yaml" for name in space_names()}
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert f"afdcd-{afdcd.__version__}.dist-info/licenses/LICENSE" in names
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Version"] == afdcd.__version__


@pytest.mark.timeout(180)
def test_a_packaged_space_is_valid_elsewhere(elsewhere: Path, tmp_path: Path) -> None:
    space = _quickstart(elsewhere, tmp_path)
    printed = finish(_start(elsewhere, tmp_path, "-m", "afdcd.tune", "--check", space))
    assert f"{space}: valid" in printed


@pytest.mark.slow
@pytest.mark.xdist_group("ray")
@pytest.mark.timeout(900)
def test_a_study_elsewhere_registers_its_candidate(elsewhere: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    sizes = {"height": 64, "width": 96, "train": 60, "val": 12, "test": 6}
    options = [part for name, size in sizes.items() for part in (f"--{name}", str(size))]
    prepare = ["-m", "afdcd.prepare", "synthetic", "--out", str(data), *options]
    finish(_start(elsewhere, tmp_path, *prepare))
    smaller = [
        f"data.root={data}",
        "data.crop=[64, 64]",
        *[f"pair.teacher.train.{key}=4" for key in ("iterations", "validate_every", "batch")],
        *[f"training.{key}=4" for key in ("iterations", "validate_every", "batch")],
        "study.enqueue=[distiller: {method: none}]",
        "study.grace=4",
        "study.trials=1",
        "study.proof.seeds=0",
    ]
    space = _quickstart(elsewhere, tmp_path)
    process = _start(elsewhere, tmp_path, "-m", "afdcd.tune", space, *smaller)
    try:
        assert "models:/quickstart@candidate" in finish(process)
    finally:
        kill_tree(process)
