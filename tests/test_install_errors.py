"""The one line that a person is told, for what uv 0.13, pip and venv print."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
Explain = Callable[[str, Path, Path], str]


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch) -> Explain:
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("install_errors").explain


@pytest.mark.parametrize("place", ["cache", ".venv"])
def test_which_of_two_disks_is_full(explain: Explain, tmp_path: Path, place: str) -> None:
    """What uv 0.13 prints; copying names both places, and the second is the full one."""
    output = f"""\
        error: Failed to install: tiny-1.0-py3-none-any.whl (tiny==1.0)
          cause: failed to copy file from {tmp_path}/cache/archive/x.h to {tmp_path}/{place}/lib/.tmp5: \
No space left on device (os error 28)
        """
    line = explain(output, tmp_path / ".venv", tmp_path / "cache")
    assert line.startswith(f"no space left in {tmp_path}/{place} (")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "error: Failed to fetch: `https://index/tiny/`\n  cause: client error (Connect)\n"
            "  cause: invalid peer certificate: UnknownIssuer\n\nhint: x",
            "the package index has a certificate that is not trusted here (invalid peer certificate)",
        ),
        (
            "error: No solution found when resolving dependencies\n  cause: Because ray==2.60.0 has no "
            "wheels with a matching Python version tag (e.g., `cp315`), we can conclude that",
            "ray==2.60.0: there is no wheel for this Python",
        ),
        (
            "The virtual environment was not created successfully because ensurepip is not\navailable."
            "  On Debian/Ubuntu systems, you need to install the python3-venv\npackage using the "
            "following command.\n\n    apt install python3.11-venv\n\nYou may need to use sudo",
            "this Python lacks venv: apt install python3.11-venv, then the same command goes on",
        ),
        (
            "error: something new\n  cause: of a kind\n  cause: unknown here",
            "something new; unknown",
        ),
        ("", "no output"),
    ],
)
def test_errors_of_uv_and_venv_become_one_line(
    explain: Explain, tmp_path: Path, output: str, line: str
) -> None:
    explained = explain(output, tmp_path / ".venv", tmp_path / "cache")
    assert explained.startswith(line)
    assert "\n" not in explained
