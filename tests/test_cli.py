import pytest

from afdcd.cli import run
from afdcd.config import UserError


def _fail(error: BaseException) -> int:
    raise error


def test_passes_arguments_and_status_on() -> None:
    assert run(lambda argv: len(argv or []), ["a", "b"]) == 2


def test_users_error_is_one_line_each_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda argv: _fail(UserError("a.yaml:1: x\na.yaml:2: y"))) == 2
    assert capsys.readouterr() == ("", "error: a.yaml:1: x\nerror: a.yaml:2: y\n")


def test_interrupt_is_status_130() -> None:
    assert run(lambda argv: _fail(KeyboardInterrupt())) == 130


def test_a_defect_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        run(lambda argv: 1 // 0)
