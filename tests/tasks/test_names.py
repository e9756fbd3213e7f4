"""Tasks of other packages: found, loaded, and one line where they cannot be."""

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.tasks import names

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Makes entry points of (name, value) pairs; modules lie in `tmp_path`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("plug_in", None)  # of the test before, in its own folder

    def given(*pairs: tuple[str, str]) -> None:
        points = [EntryPoint(name, value, names.GROUP) for name, value in pairs]
        monkeypatch.setattr(names, "entry_points", lambda group: points)
        for cached in (names.places, names.task_named):
            cached.cache_clear()

    yield given
    monkeypatch.undo()
    sys.modules.pop("plug_in", None)
    for cached in (names.places, names.task_named):
        cached.cache_clear()


def test_ours_is_there_without_any_other(install: Install) -> None:
    install()
    assert list(names.places()) == ["segmentation"]
    assert names.task_named("segmentation").draws
    assert names.code_of_others() == ""


@pytest.mark.parametrize(
    ("written", "value", "cause"),
    [
        ("", "gone_for_good:TASK", "No module named 'gone_for_good'"),
        ("X = 1", "plug_in:TASK", "no attribute 'TASK'"),
        ("raise RuntimeError('no licence')", "plug_in:TASK", "no licence"),
    ],
)
def test_a_broken_package_is_named_in_one_line(
    install: Install, tmp_path: Path, written: str, value: str, cause: str
) -> None:
    (tmp_path / "plug_in.py").write_text(written)
    install(("depth", value))
    with pytest.raises(
        UserError, match=f"task depth: {value} cannot be loaded: .*{cause}"
    ) as error:
        names.task_named("depth")
    assert "\n" not in str(error.value)


def test_two_packages_with_a_task_of_one_name_are_refused(install: Install) -> None:
    install(("depth", "a:TASK"), ("depth", "b:TASK"))
    with pytest.raises(UserError, match="task depth is both a:TASK and b:TASK; uninstall one"):
        names.places()
    install(("depth", "a:TASK"), ("depth", "a:TASK"))  # the same one, found twice
    assert set(names.places()) == {"segmentation", "depth"}


def test_ours_cannot_be_taken_over(install: Install) -> None:
    install(("segmentation", "a:TASK"))
    with pytest.raises(UserError, match="task segmentation is both"):
        names.places()


def test_their_code_is_part_of_what_runs(install: Install, tmp_path: Path) -> None:
    (tmp_path / "plug_in.py").write_text("TASK = 1")
    install(("depth", "plug_in:TASK"))
    before = names.code_of_others()
    (tmp_path / "plug_in.py").write_text("TASK = 2")
    assert before
    assert names.code_of_others() != before
