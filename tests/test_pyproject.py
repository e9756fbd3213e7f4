"""The dependencies that pyproject.toml names are those of the code, and their comments are true."""

import ast
import functools
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "pyproject.toml").read_text()
PROJECT = tomllib.loads(TEXT)["project"]
COMMENTED = re.findall(r'^    "([\w.-]+).*",\s+# (.*)$', TEXT, re.MULTILINE)
PLACE = r"\b((?:afdcd|benchmarks)(?:/\w+)+)"
PARTS = {
    "grpc": "ray",
    "triton": "torch",
    "pydantic_core": "pydantic",
}  # pinned by the package that they belong to

installed = functools.cache(packages_distributions)


def _imported(path: Path) -> set[str]:
    """The top-level names that a module or a package imports, wherever it does."""
    files = [path.with_suffix(".py")] if path.with_suffix(".py").exists() else path.rglob("*.py")
    names: set[str] = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


def _distributions(name: str) -> set[str]:
    """What may have installed an import: mlflow comes with mlflow and with mlflow-skinny."""
    return {_plain(found) for found in installed().get(PARTS.get(name, name), [name])}


def _plain(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement)[0].replace("_", "-").lower()


def test_the_package_imports_nothing_that_is_not_declared() -> None:
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *extras["plot"]]
    known = {_plain(requirement) for requirement in declared}
    others = _imported(ROOT / "afdcd") - {"afdcd"}
    assert [name for name in others if not _distributions(name) & known] == []


@pytest.mark.parametrize(("package", "comment"), [c for c in COMMENTED if re.search(PLACE, c[1])])
def test_a_dependency_is_needed_where_its_comment_says(package: str, comment: str) -> None:
    for place in re.findall(PLACE, comment):
        found = set().union(*map(_distributions, _imported(ROOT / place)))
        assert _plain(package) in found, place
