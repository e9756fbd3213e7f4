"""One study as one file."""

import io
import tarfile
from pathlib import Path

import optuna
import pytest

from afdcd import storage
from afdcd.config import UserError
from afdcd.search.kept import kept_study
from afdcd.search.open_study import claim
from afdcd.search.portable import export, restore
from tests.search.studies import opened, pause, run_to_the_end


@pytest.fixture
def kept_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A storage with the study "s": a completed, a paused and a begun run, and a teacher."""
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.setenv("AFDCD_STORAGE", str(place))
    study = opened(place, rungs=(10,))
    run_to_the_end(study, 0.5)
    pause(study, 0.1)
    study.next()
    study.study.set_user_attr("teachers", {"k": {"model": "models:/t/1", "sha256": "ab" * 32}})
    claim(str(place / "studies" / "s"), study.study)
    for name, text in (
        ("studies/s/trials/0000/student.safetensors", b"weights"),
        ("studies/s/choices/0123.json", b'{"algorithm": "kept"}'),
        ("studies/s/tune/log", b"of Ray"),
        (f"teachers/{'ab' * 8}.safetensors", b"teacher"),
        ("teachers/other.safetensors", b"not ours"),
    ):
        storage.write_bytes(str(place / name), text)
    return place


def test_a_study_is_whole_elsewhere_and_goes_on(
    kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.tar"
    before = kept_study("s")
    assert export(before, file) == 4
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.setenv("AFDCD_STORAGE", str(there))
    assert restore(file) == "s"
    after = kept_study("s")
    assert after.id == before.id
    assert after.record() == before.record()
    assert after.entries() == before.entries()
    assert sorted(storage.walk(str(there / "studies"))) == [
        "s/choices/0123.json",  # runs that go on there round as those before them
        "s/study.json",
        "s/trials/0000/student.safetensors",
    ]
    assert (there / "teachers" / f"{'ab' * 8}.safetensors").read_bytes() == b"teacher"
    claim(str(there / "studies" / "s"), after.study)
    assert opened(there, rungs=(10,)).next().name == "trial-0002"


def test_a_study_that_is_here_is_not_overwritten(kept_in: Path, tmp_path: Path) -> None:
    export(kept_study("s"), tmp_path / "s.tar")
    with pytest.raises(UserError, match="is in this study database or storage already"):
        restore(tmp_path / "s.tar")
    assert len(kept_study("s").entries()) == 3


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", "other/evil", "studies/s/../../evil", "studies/other/evil", "."],
)
def test_a_file_that_reaches_outside_is_refused(
    kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "s.tar"
    export(kept_study("s"), file)
    with tarfile.open(file, "a") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "there"))
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError, match="which no exported study does"):
        restore(file)
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "there" / "studies").exists()  # all was checked before


def test_what_is_no_export_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    (tmp_path / "a.tar").write_bytes(b"nonsense")
    for file in (tmp_path / "a.tar", tmp_path / "missing.tar"):
        with pytest.raises(UserError) as error:
            restore(file)
        assert "\n" not in str(error.value)


def test_a_queued_reference_stays_queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    opened(tmp_path, references=({"training.lr": 0.25, "distiller": "none"},))
    export(kept_study("s"), tmp_path / "s.tar")
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "there"))
    restore(tmp_path / "s.tar")
    (row,) = kept_study("s").study.get_trials()
    assert row.state == optuna.trial.TrialState.WAITING
    assert opened(tmp_path / "there").next().config.training.lr == 0.25


@pytest.mark.parametrize(
    "text",
    ['{"format": 1,', "[1]", '{"format": 1}', '{"format": 1, "name": "s", "rows": [{}]}'],
)
def test_a_head_that_says_too_little_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("study.json")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    with pytest.raises(UserError, match=r"a\.tar") as error:
        restore(tmp_path / "a.tar")
    assert "\n" not in str(error.value)


def test_a_file_that_was_cut_short_leaves_nothing(
    kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.tar"
    export(kept_study("s"), file)
    with tarfile.open(file) as tar:
        last = tar.getmembers()[-1]
    file.write_bytes(file.read_bytes()[: last.offset])  # as if the last file had never been there
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.setenv("AFDCD_STORAGE", str(there))
    with pytest.raises(UserError, match="was cut short"):
        restore(file)
    assert not (there / "studies").exists()


def test_the_folder_of_another_study_is_not_overwritten(
    kept_in: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(kept_study("s"), tmp_path / "s.tar")
    there = tmp_path / "there"
    storage.write_bytes(str(there / "studies" / "s" / "study.json"), b'{"id": "1234", "name": "s"}')
    monkeypatch.setenv("AFDCD_STORAGE", str(there))
    with pytest.raises(UserError, match="or storage already"):
        restore(tmp_path / "s.tar")
    assert not (there / "studies" / "s" / "trials").exists()
