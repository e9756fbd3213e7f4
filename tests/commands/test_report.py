"""`afdcd report arena`: what is printed, drawn and refused."""

import json
from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.report import main
from afdcd.search.arena_text import told
from tests.search.test_arena import database, found, introduced
from tests.search.test_rivals import arena, planned, run_all

__all__ = ["database"]  # a fixture for every test


def test_it_prints_and_draws_once_there_is_something_to_draw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    study, out = introduced(arena(tmp_path, trials=3), 3), tmp_path / "arena.png"
    with pytest.raises(UserError, match="no run of its proof has completed; leave out --out"):
        main(["arena", "s", "--out", str(out)])
    assert capsys.readouterr().out == ""
    planned(study)
    run_all(study)
    assert main(["arena", "s", "--out", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.splitlines() == told(found())


def test_json_is_json_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    introduced(arena(tmp_path, trials=3), 3)
    assert main(["arena", "s", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == []


def test_a_name_that_is_no_study_lists_those_that_are(tmp_path: Path) -> None:
    introduced(arena(tmp_path, trials=3), 3)
    with pytest.raises(UserError, match=r"no study 'arena' .*: it has s; check the name"):
        main(["arena", "arena"])
