"""Output that nobody reads to its end, and readers that cannot show every character."""

import io
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from PIL import Image

from afdcd import evaluate, predict, prepare, spaces
from afdcd.cli import UNREAD, USER_ERROR, run
from afdcd.config import UserError
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, save_network
from afdcd.output import going_on_unread
from afdcd.search.progress import Progress
from afdcd.training.job import RunResult
from tests.examples import job
from tests.running import ROOT


@contextmanager
def _unread(monkeypatch: pytest.MonkeyPatch, *names: str) -> Iterator[None]:
    """Streams of this process as pipes whose reader has left."""
    pipes = []
    for name in names:
        reading, writing = os.pipe()
        os.close(reading)
        pipes.append(open(writing, "w"))  # noqa: PTH123, SIM115
        monkeypatch.setattr(sys, name, pipes[-1])
    yield
    for pipe in pipes:
        pipe.close()  # raises where what is left could not be dropped


def _many_lines(_: list[str] | None = None) -> int:
    for number in range(10_000):
        print("line", number, flush=number % 1000 == 0)
    return 0


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workshop")
    small = SyntheticConfig(height=64, width=64, train=36, val=1, test=1)
    prepare_synthetic(str(folder / "data"), small)
    model = ModelConfig(head="pspnet", encoder="timm:lcnet_050")
    card = NetworkCard(
        model=model,
        dataset="synthetic",
        classes=SYNTHETIC.classes,
        palette=SYNTHETIC.palette,
        normalisation="imagenet",
    )
    torch.manual_seed(0)
    save_network(folder / "ok.safetensors", model.build(len(card.classes)), card)
    Image.new("RGB", (64, 48)).save(folder / "p.png")
    return folder


FILTERS = {
    "spaces": (spaces.main, []),
    "help": (evaluate.main, ["--help"]),
    "show": (prepare.main, ["show", "data", "--out", "shown"]),
    "predict": (predict.main, ["ok.safetensors", "p.png", "--out", "predicted"]),
    "evaluate": (evaluate.main, ["ok.safetensors", "--data", "data"]),
}


@pytest.mark.parametrize("case", FILTERS)
def test_a_command_whose_reader_left_ends_quietly(
    case: str, workshop: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    main, argv = FILTERS[case]
    monkeypatch.chdir(workshop)
    with _unread(monkeypatch, "stdout"):
        assert run(main, argv) == UNREAD
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["--help"], ["spaces"], ["prepare", "--help"]])
def test_a_real_process_whose_reader_left_ends_quietly(words: list[str], unbuffered: str) -> None:
    """Also in what Python does at its end, when it flushes once more."""
    process = _started(words, PYTHONUNBUFFERED=unbuffered)
    process.stdout.close()
    assert process.stderr.read() == b""
    kept_by_argparse = unbuffered and "--help" in words  # which passes over what it cannot write
    assert process.wait(60) == (0 if kept_by_argparse else UNREAD)


def test_errors_that_nobody_reads_end_quietly_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: list[str] | None) -> int:
        raise UserError("a.yaml:1: no")

    with _unread(monkeypatch, "stdout", "stderr"):
        assert run(fails) == UNREAD


def test_a_pipe_that_breaks_elsewhere_is_no_reader_that_left() -> None:
    """Of a database, for instance: that is to be seen."""

    def fails(_: list[str] | None) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        run(fails)


@pytest.mark.parametrize("names", [("stdout",), ("stderr",), ("stdout", "stderr")])
def test_a_study_goes_on_without_its_reader(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []

    def study(_: list[str] | None) -> int:
        with going_on_unread():
            progress = Progress()
            progress.started(job())
            print("warning: MLflow does not answer", file=sys.stderr, flush=True)
            _many_lines()
            progress.ended(job(), RunResult("infeasible", None, "out of luck"))
            done.append(sys.stdout.isatty())
        return 7

    with _unread(monkeypatch, *names):
        assert run(study) == 7
    assert done == [False]


def test_a_study_that_is_read_is_read_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with going_on_unread():
        _many_lines()
    assert len(capsys.readouterr().out.splitlines()) == 10_000


def test_a_disk_that_is_full_for_a_while_costs_the_lines_of_that_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Disk(io.StringIO):
        full = False

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    disk = Disk()
    monkeypatch.setattr(sys, "stdout", disk)
    with going_on_unread():
        for disk.full in (False, True, False):
            print("full" if disk.full else "room")
    assert disk.getvalue() == "room\nroom\n"


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize(
    ("words", "status"), [("spaces", 0), ("spaces copy nowhere", USER_ERROR), ("zzz", USER_ERROR)]
)
def test_streams_that_were_never_open_change_no_status(
    words: str, status: int, closing: str
) -> None:
    shell = f"{sys.executable} -m afdcd {words} {closing}"
    done = subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == status
    assert "Traceback" not in done.stdout + done.stderr


STRANGE = "k\u00fcche-\u6f22\udce9.yaml"  # the last character: a byte that is no UTF-8


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "cp437"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_what_a_terminal_cannot_show_is_spelled_out(
    encoding: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors="strict")
    monkeypatch.setattr(sys, name, stream)

    def prints(_: list[str] | None) -> int:
        print(f"{STRANGE}: no such file", file=getattr(sys, name))
        return 3

    assert run(prints) == 3
    stream.flush()
    expected = f"{STRANGE}: no such file\n".encode(encoding, "backslashreplace")
    assert written.getvalue() == expected


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LANG": "C"},
    ],
)
def test_an_error_about_a_strange_file_is_one_line_everywhere(environment: dict[str, str]) -> None:
    process = _started(["tune", os.fsencode(STRANGE)], **environment)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (USER_ERROR, b"")
    assert err.startswith(b"error: k")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize("words", [["--help"], ["spaces"], ["tune", "missing.yaml"], ["tune"]])
def test_nothing_is_coloured_where_nobody_wants_it(words: list[str]) -> None:
    """On a terminal that asks for none, and where there is no terminal."""
    seen = {"terminal": _on_a_terminal(words, NO_COLOR="1")}
    seen |= zip(("stdout", "stderr"), _started(words).communicate(timeout=60), strict=True)
    assert any(seen.values())
    for where, text in seen.items():
        assert b"\x1b" not in text, where


def _started(words: list[str | bytes], **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "afdcd", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _on_a_terminal(words: list[str], **environment: str) -> bytes:
    """All that a command writes to its terminal."""
    own, theirs = pty.openpty()
    command = [sys.executable, "-m", "afdcd", *words]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **environment}, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while part := _read(own):
        seen += part
    os.close(own)
    process.wait(60)
    return seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody holds its other end any more
        return b""
