"""`benchmarks/gpu.sh`: what is there is not measured again, and nothing that fails or is cut off harms."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from afdcd.config import UserError
from benchmarks.gpu_tests import FILES, outcomes_of
from benchmarks.owed import Outcome, Runner, chosen, main, pay, summary
from benchmarks.owed_steps import STEPS, Step
from benchmarks.records import Records, code_commit
from tests.running import ROOT

GPU = {"device": "cuda", "device_name": "NVIDIA H200", "torch": "2.11.0"}


def step(name: str, minutes: float = 1.0) -> Step:
    return Step(name, f"figure {name}", minutes, ("gpu", name), ("cpu", name), lambda v: v["told"])


A, B, C = map(step, "abc")


@dataclass
class Fake:
    """Instead of a GPU: each step takes its minutes; those of `broken` fail, `killed` ends all."""

    broken: tuple[str, ...] = ()
    killed: str = ""
    now: float = 0.0

    def __post_init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, step: Step) -> Outcome:
        self.ran.append(step.name)
        self.now += 60 * step.minutes
        if step.name == self.killed:
            raise KeyboardInterrupt
        if step.name in self.broken:
            return Outcome("python -m gpu", None, "Traceback ...\nCUDA error: no luck\n")
        return Outcome("python -m gpu", {"told": f"{step.name} took 5 ms"})

    def clock(self) -> float:
        return self.now


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path, GPU, "c0ffee")


def test_goes_on_where_it_was_killed(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        pay([A, B, C], records, Fake(killed="b"))
    assert [path.name for path in records.folder.iterdir()] == ["a.json"]
    again = Fake()
    pay([A, B, C], records, again)
    assert again.ran == ["b", "c"]
    assert "a: there already: a took 5 ms" in capsys.readouterr().out


def test_a_result_says_where_it_comes_from(records: Records) -> None:
    pay([A], records, Fake())
    assert records.folder.name == "nvidia-h200"
    found = json.loads((records.folder / "a.json").read_text())
    assert found.pop("date")
    assert found == {
        "commit": "c0ffee",
        "device_name": "NVIDIA H200",
        "torch": "2.11.0",
        "step": "a",
        "status": "ok",
        "command": "python -m gpu",
        "minutes": 0.0,
        "values": {"told": "a took 5 ms"},
        "error": "",
    }


def test_another_commit_or_device_is_measured_anew(records: Records, tmp_path: Path) -> None:
    pay([A], records, Fake())
    other = {**GPU, "device_name": "NVIDIA H100 80GB HBM3"}
    for fresh in (Records(tmp_path, GPU, "decaf"), Records(tmp_path, other, "c0ffee")):
        measured = Fake()
        pay([A], fresh, measured)
        assert measured.ran == ["a"]


def test_a_step_that_fails_is_recorded_and_tried_again_last(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    first = Fake(broken=("a",))
    pay([A, B], records, first)
    assert first.ran == ["a", "b"]
    assert records.current([A])["a"]["status"] == "failed"
    assert "a: 0.0 min: FAILED: CUDA error: no luck" in capsys.readouterr().out
    again = Fake()
    pay([A, B, C], records, again)
    assert again.ran == ["c", "a"]
    assert records.current([A])["a"]["status"] == "ok"


def test_begins_nothing_that_would_not_end_in_time(
    records: Records, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [step("long", 3), step("longer", 4), step("short", 2)]
    fake = Fake()
    pay(steps, records, fake, minutes=5.5, clock=fake.clock)
    assert fake.ran == ["long", "short"]
    assert "longer: not begun: needs 4 minutes, 2.5 are left" in capsys.readouterr().out
    assert "owed" in summary(steps, records)


def test_a_result_is_whole_or_not_there(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    pay([A], records, Fake())
    monkeypatch.setattr("benchmarks.records.os.fsync", _full)
    with pytest.raises(UserError, match=r"b\.json: No space left.* another --results"):
        pay([A, B], records, Fake())
    assert records.current([A, B]).keys() == {"a"}
    monkeypatch.undo()
    (records.folder / "b.json").write_text('{"commit": "c0f')  # by another program
    with pytest.raises(UserError, match=r"b\.json: is no result; delete it"):
        pay([A, B], records, Fake())


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_seeds_are_put_together(records: Records) -> None:
    steps = [step(f"curve-seed-{seed}") for seed in range(3)]
    for each, difference in zip(steps, (0.01, -0.01, 0.03), strict=True):
        values = {"told": "", "miou": {"difference": difference}}
        pay([each], records, lambda _, values=values: Outcome("", values))
    assert "over 3 seeds: +1.00 points, standard error 1.15" in summary(steps, records)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nope"], r"no step 'nope'; choose from step-bf16, "),
        (["--minutes", "0"], r"--minutes 0: must be more than 0"),
    ],
)
def test_refuses(argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(argv)


def test_steps_by_name_keep_the_order_of_worth(capsys: pytest.CaptureFixture[str]) -> None:
    assert [s.name for s in chosen(["loss", "step-bf16"])] == ["step-bf16", "loss"]
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out
    assert all(s.name in listed for s in STEPS)
    assert len({s.name for s in STEPS}) == len(STEPS)
    assert all(s.minutes <= 3 for s in STEPS)


def test_code_that_is_not_committed_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="set AFDCD_GIT_COMMIT"):
        code_commit(tmp_path)
    (tmp_path / "benchmarks" / "results").mkdir(parents=True)
    code, result = tmp_path / "benchmarks" / "a.py", tmp_path / "benchmarks" / "results" / "a.json"
    code.write_text("1")
    _git(tmp_path, "init", "-q")
    commit = _committed(tmp_path)
    result.write_text("{}")
    _committed(tmp_path)
    assert code_commit(tmp_path) == commit  # results change no figure
    code.write_text("2")
    with pytest.raises(UserError, match=r"benchmarks/a\.py: not committed"):
        code_commit(tmp_path)


def _committed(folder: Path) -> str:
    _git(folder, "add", "-A")
    _git(folder, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "more")
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Program(Runner):
    """A step's command is any program; `a` and `cpu` are its arguments."""

    program = ""
    seconds = 30.0

    def command(self, step: Step) -> list[str]:
        return [sys.executable, "-c", self.program, *step.arguments(tiny=self.tiny)]

    def limit(self, step: Step) -> float:
        return self.seconds


def program(text: str, seconds: float = 30.0) -> Program:
    return type("Given", (Program,), {"program": text, "seconds": seconds})(tiny=True)


def test_a_command_ends_in_its_values_or_in_an_error() -> None:
    found = program("import sys; print('text'); print('{\"argv\": \"%s\"}' % sys.argv[2])")(A)
    assert found.values == {"argv": "cpu"}
    assert found.command.endswith("-m cpu a --device cpu --json")
    assert "ZeroDivisionError" in program("1 / 0")(A).error
    assert "no JSON: text" in program("print('text')")(A).error


def test_a_command_that_hangs_is_ended_with_all_that_it_started() -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(99)'])"
    before = {p.pid for p in psutil.Process().children(recursive=True)}
    assert program(child, seconds=3.0)(A).error.startswith("no result after")
    assert _gone(lambda: {p.pid for p in psutil.Process().children(recursive=True)} <= before)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends it")
def test_what_is_measured_does_not_outlive_its_killed_parent() -> None:
    text = (
        "from tests.benchmarks.test_owed import A, program\n"
        "program('import time; print(1, flush=True); time.sleep(99)', 99)(A)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", text], cwd=ROOT)
    try:
        while not (below := psutil.Process(parent.pid).children()):
            time.sleep(0.1)
        time.sleep(0.5)  # until it has asked to be ended
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert _gone(lambda: not any(_runs(process) for process in below))


def _runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _gone(condition: Callable[[], bool]) -> bool:
    for _ in range(100):
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_no_test_that_needs_a_gpu_is_left_out() -> None:
    """A test that is skipped without a GPU says so in these words, or takes its device from there."""
    words = ("needs a GPU", "from tests.devices import")
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__)]
    needing = {str(p.relative_to(ROOT)) for p in files if any(w in p.read_text() for w in words)}
    assert needing == set(FILES)


def test_what_pytest_found_is_told_by_name(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    cases = '<testcase classname="t" name="{}">{}</testcase>'
    found = {"a": "", "b": "<failure/>", "c": "<skipped/>", "d": "<error/>"}
    junit.write_text(f"<testsuites>{''.join(cases.format(*c) for c in found.items())}</testsuites>")
    expected: dict[str, Any] = {"passed": 1, "failed": ["t::b", "t::d"], "skipped": ["t::c"]}
    assert outcomes_of(junit) == expected


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_tiny_steps_end_on_a_cpu_and_are_not_repeated(tmp_path: Path) -> None:
    command = ["benchmarks/gpu.sh", "--tiny", "--results", str(tmp_path), "loss", "step-bf16"]
    environment = {**os.environ, "PYTHON": sys.executable}
    printed = []
    for _ in range(2):
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        printed.append(done.stdout)
    assert "official-bf16" in printed[0]
    assert printed[1].count("there already") == 2
    assert len(list(tmp_path.glob("*/*.json"))) == 2
