"""Where kernels are taken: a machine without what they need trains without them, and says so."""

import logging
import shutil
from collections.abc import Iterator

import pytest

from afdcd import kernels


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    kernels.available.cache_clear()
    yield
    kernels.available.cache_clear()


def test_without_a_compiler_kernels_are_left_out_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("triton")
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with caplog.at_level(logging.WARNING):
        assert not kernels.available()
        assert not kernels.available()
    (record,) = caplog.records
    assert "install gcc or set CC" in record.getMessage()


def test_a_compiler_named_by_the_environment_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("CC", "/opt/bin/cc")
    assert kernels.available()


def test_without_triton_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    assert not kernels.available()
