"""Which code runs, as it is recorded with every run and printed for a bug report."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import afdcd
from afdcd.version import OtherCodeError, check_code, code_sha256, git_commit


def test_commit_of_an_image_is_what_its_builder_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_GIT_COMMIT", "abc123")
    assert git_commit() == "abc123"
    monkeypatch.delenv("AFDCD_GIT_COMMIT")
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(OSError()))
    assert git_commit() == "unknown"


def test_an_installed_copy_is_not_the_commit_of_the_repository_around_it(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    shutil.copytree(
        Path(afdcd.__file__).parent, site / "afdcd", ignore=shutil.ignore_patterns("__pycache__")
    )
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    (tmp_path / "theirs").touch()
    for words in (["init", "-q"], ["add", "theirs"], ["commit", "-qm", "theirs"]):
        subprocess.run([*git, *words], check=True)
    program = "from afdcd.version import git_commit; print(git_commit())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=site, capture_output=True, text=True, check=True
    )
    assert done.stdout == "unknown\n"


def test_a_machine_with_other_code_computes_nothing_for_a_driver() -> None:
    check_code(code_sha256())
    check_code("")
    with pytest.raises(
        OtherCodeError, match=r"has another afdcd \(\w{12}\) than .*--working-dir"
    ) as e:
        check_code("0" * 64)
    assert "\n" not in str(e.value)
