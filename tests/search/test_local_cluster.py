"""Machines that lack something Ray takes for granted: compute nodes, containers."""

import getpass
import os
import socket
from pathlib import Path

import pytest

from afdcd import environment
from afdcd.config import UserError
from afdcd.environment import LONGEST_TEMPORARY, stand_in_for_user, storage_root
from afdcd.search import local_cluster
from afdcd.search.local_cluster import free_port, session_folder, set_token


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the functions set is put back after each test."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_TMPDIR", "TMPDIR"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in ("USER", "HOME"):
        monkeypatch.setenv(name, os.environ.get(name, ""))


def test_a_token_is_kept_in_memory_unless_a_person_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    set_token()
    assert len(os.environ["RAY_AUTH_TOKEN"]) == 64
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    set_token()
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_a_temporary_folder_with_a_long_path_is_replaced_for_all_that_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * LONGEST_TEMPORARY)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    folder = Path(session_folder()).parent
    assert len(str(folder)) <= LONGEST_TEMPORARY
    assert os.environ["TMPDIR"] == os.environ["RAY_TMPDIR"] == str(folder)
    assert folder.stat().st_mode & 0o077 == 0
    folder.rmdir()


def test_a_short_temporary_folder_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/tmp")
    assert session_folder() == "/tmp/ray"
    assert "TMPDIR" not in os.environ


def test_where_nothing_can_be_written_one_line_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(environment.os, "access", lambda *_: False)
    with pytest.raises(UserError, match="set RAY_TMPDIR to one that may be written to"):
        session_folder()


def test_a_user_without_name_and_home_gets_both_but_keeps_no_results_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unknown(*_: object) -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    def homeless() -> Path:
        if "HOME" in os.environ:
            return Path(os.environ["HOME"])
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME")
    monkeypatch.delenv("USER")
    monkeypatch.delenv("AFDCD_STORAGE")
    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.setattr(Path, "home", homeless)
    stand_in_for_user()
    assert os.environ["USER"] == f"uid{os.getuid()}"
    made = Path(os.environ["HOME"])
    assert made.is_dir()
    with pytest.raises(UserError, match="AFDCD_STORAGE is not set, and there is no home folder"):
        storage_root()
    made.rmdir()


def test_a_port_that_is_chosen_can_be_had_and_is_nobody_elses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither one that the kernel hands out to whoever asks, nor one that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        port = taken.getsockname()[1]
        assert 20_000 <= port < 32_768
        other = free_port()
        monkeypatch.setattr(local_cluster.random, "sample", lambda *_: [port, other])
        assert free_port() == other
        monkeypatch.setattr(local_cluster.random, "sample", lambda *_: [port])
        with pytest.raises(UserError, match="no port between 20000 and 32767 is free"):
            free_port()
