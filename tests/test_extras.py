"""Without an optional package: one line that says which extra to install, before any work is done.

The package is hidden from a new process, so that an import at the top of a module shows, too.
"""

import subprocess
import sys
from pathlib import Path

from tests.data.raw.layouts import LAYOUTS

ROOT = Path(__file__).parents[1]

WITHOUT = """
import importlib.util, runpy, sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == {module!r} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Without
sys.argv[1:] = {argv!r}
runpy.run_module("afdcd.prepare", run_name="__main__", alter_sys=True)
"""


def _prepare_without(module: str, *argv: str) -> subprocess.CompletedProcess[str]:
    program = WITHOUT.format(module=module, argv=[str(value) for value in argv])
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_histogram_needs_matplotlib(tmp_path: Path) -> None:
    done = _prepare_without("matplotlib", "show", "shards", "--out", str(tmp_path / "pictures"))
    assert done.stderr == (
        "error: the histogram of classes needs matplotlib, which is not installed here: "
        "pip install 'afdcd[plot]'\n"
    )
    assert (done.returncode, (tmp_path / "pictures").exists()) == (2, False)


def test_who_does_not_need_it_is_not_asked_for_it(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    LAYOUTS["voc gray aug"](raw)
    done = _prepare_without(
        "matplotlib", "voc", "--source", str(raw), "--out", str(out), "--workers", "1"
    )
    assert (done.returncode, (out / "manifest.json").exists()) == (0, True), done.stderr
