"""What a failed run is told to have failed of."""

from types import SimpleNamespace

from afdcd.training.launch import _cause


def test_cause_is_the_last_line_of_the_workers_own_error() -> None:
    failed = SimpleNamespace(worker_failures={1: "Traceback\n  x\nValueError: y\n"})
    assert _cause(failed) == "ValueError: y"
    assert _cause(RuntimeError("first\nlast")) == "last"
    assert _cause(RuntimeError("")) == "RuntimeError"
