"""The console command: its verbs, its answers, its completion."""

import subprocess
import sys
from pathlib import Path

import pytest

from afdcd import spaces
from afdcd.__main__ import VERBS, completion, entry, main
from afdcd.config import UserError
from afdcd.search.load import read_space


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_verb_that_is_listed_answers_by_its_own_name(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb.name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: afdcd {verb.name}")


def test_help_lists_the_verbs_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out.partition("verbs:\n")[2].partition("\n\n")[0]
    assert [line.split()[0] for line in listed.splitlines()] == [verb.name for verb in VERBS]


def test_a_verb_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no verb 'evalute'; did you mean 'evaluate'"):
        main(["evalute", "x"])
    with pytest.raises(UserError, match="no verb 'zzz'; known: prepare, init, tune"):
        main(["zzz"])


def test_version_says_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("afdcd 0.")
    assert lines[1].startswith(f"Python {sys.version.split()[0]}")
    named = {line.split()[0] for line in lines}
    assert named >= {"torch", "ray", "optuna", "mlflow"}
    assert not any(line.endswith("not installed") for line in lines)


def test_a_mistake_in_a_verb_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["afdcd", "tune", "missing.yaml"])
    assert entry() == 2
    assert capsys.readouterr().err.startswith("error: missing.yaml: no such file")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["ev"], "evaluate"),
        (["prepare", "city"], "cityscapes"),
        (["tune", "--ch"], "--check"),
        (["tune", "mine"], "mine.yaml"),
    ],
)
def test_bash_completes_verbs_options_and_files(
    typed: list[str], offered: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "script").write_text(completion("bash"))
    words = " ".join(["afdcd", *typed])
    program = (
        f"source ./script; COMP_WORDS=({words}); COMP_CWORD={len(typed)}; COMP_LINE='{words}'; "
        "COMP_POINT=${#COMP_LINE}; "
        "$(complete -p afdcd | sed 's/.*-F \\([^ ]*\\).*/\\1/') afdcd; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert offered in done.stdout.split(), done.stderr


def test_spaces_are_listed_with_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spaces"]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == spaces.space_names()
    assert "CamVid" in lines["camvid"]


def test_a_copied_space_is_one_to_start_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["spaces", "copy", "quickstart"]) == 0
    assert read_space("quickstart.yaml", []).name == "quickstart"
    with pytest.raises(UserError, match=r"quickstart\.yaml: is there already"):
        main(["spaces", "copy", "quickstart"])
    with pytest.raises(UserError, match="did you mean 'quickstart'"):
        main(["spaces", "copy", "quikstart"])
    with pytest.raises(UserError, match="cannot be written"):
        main(["spaces", "copy", "quickstart", "nowhere/x.yaml"])
