"""What `ray job submit --working-dir .` uploads: little, no secret, and all that the job needs."""

import ast
import logging
import shutil
import zipfile
from pathlib import Path

import pytest
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package

from tests.running import ROOT

MOST = 3 * 2**19  # bytes of the zip file that Ray sends, in which nothing is compressed
JOBS = ("tune", "train", "evaluate", "predict", "doctor")
SECRET = "planted-s3cret"
PLANTED = """
.env .netrc .aws/credentials docker/.env docker/secrets/token id_rsa id_ed25519 key.pem tls.key
auth_token token credentials secrets.yaml kubeconfig cluster/secrets.yaml password notes
afdcd/.env afdcd/id_rsa afdcd/auth_token afdcd/search/key.pem afdcd/search/.netrc
afdcd/models/weights.safetensors afdcd/tracking/mlflow.db afdcd/credentials.json
search_spaces/.env search_spaces/credentials search_spaces/token search_spaces/ca.pem
runs/study.db mlflow.db data/camvid/shard.parquet tests/golden/more.npz
"""


def _packed(folder: Path, to: Path, *, gitignore: bool = True) -> zipfile.ZipFile:
    """What Ray itself makes of a folder, as `ray job submit` asks it to."""
    create_package(
        str(folder),
        to,
        include_gitignore=gitignore,
        excludes=get_runtime_env_default_excludes(),
        logger=logging.getLogger("silent"),
    )
    return zipfile.ZipFile(to)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return set(_packed(ROOT, tmp_path_factory.mktemp("packed") / "own.zip").namelist())


def test_the_checkout_is_small(tmp_path: Path) -> None:
    package = tmp_path / "own.zip"
    _packed(ROOT, package)
    size = package.stat().st_size
    assert size < MOST, f"{size} bytes: name in .rayignore what the jobs {JOBS} do not import"


@pytest.mark.parametrize("gitignore", [True, False])  # RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1
def test_no_secret_and_nothing_unknown_is_uploaded(tmp_path: Path, gitignore: bool) -> None:
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("afdcd", "search_spaces"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".rayignore", ".gitignore", "README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, copy)
    clean = set(_packed(copy, tmp_path / "clean.zip", gitignore=gitignore).namelist())
    for name in PLANTED.split():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(SECRET)
    package = _packed(copy, tmp_path / "planted.zip", gitignore=gitignore)
    assert set(package.namelist()) == clean
    assert not any(SECRET in package.read(name).decode() for name in clean)


def test_nothing_but_code_tables_and_search_spaces_is_uploaded(names: set[str]) -> None:
    assert {name.partition("/")[0] for name in names} == {"afdcd", "search_spaces"}
    assert {Path(name).suffix for name in names} == {".py", ".csv", ".yaml"}


def test_every_search_space_and_table_is_uploaded(names: set[str]) -> None:
    needed = [*ROOT.glob("search_spaces/*.yaml"), *ROOT.glob("afdcd/**/*.csv")]
    assert len(needed) > 10
    assert {path.relative_to(ROOT).as_posix() for path in needed} <= names


def test_every_module_that_a_job_can_import_is_uploaded(names: set[str]) -> None:
    needed = _reached({f"afdcd.{verb}" for verb in JOBS})
    assert len(needed) > 200
    assert {_file(module).relative_to(ROOT).as_posix() for module in needed} <= names


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _reached(roots: set[str]) -> set[str]:
    """The modules of afdcd that the roots import, at the top of a file or in a function."""
    seen: set[str] = set()
    left = list(roots)
    while left:
        module = left.pop()
        if module in seen or not _file(module).exists():
            continue
        seen.add(module)
        for node in ast.walk(ast.parse(_file(module).read_text())):
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                named = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for name in (name for name in named if name.startswith("afdcd")):
                parts = name.split(".")
                left += [".".join(parts[: i + 1]) for i in range(len(parts))]
    return seen
