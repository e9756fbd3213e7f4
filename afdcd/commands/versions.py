"""What belongs in a bug report: the versions of what a result depends on."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from afdcd.version import git_commit

PACKAGES = ("torch", "torchvision", "timm", "ray", "optuna", "mlflow", "pyarrow", "pydantic")


def versions() -> str:
    """One line for afdcd, one for Python and the machine, one for each package. Imports none of them."""
    lines = [f"afdcd {_of('afdcd')} ({git_commit()})"]
    lines.append(f"Python {platform.python_version()} ({sys.executable}), {platform.platform()}")
    return "\n".join([*lines, *(f"{name} {_of(name)}" for name in PACKAGES)])


def _of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
