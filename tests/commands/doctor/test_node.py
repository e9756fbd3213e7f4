"""What a node finds, in this process."""

from pathlib import Path

import pytest

from afdcd.commands.doctor.node import Asked, Node, storage_shared, versions, versions_alike


def _asked(root: Path, **changes: object) -> Asked:
    (root / "doctor-note").write_bytes(b"note")
    asked = {
        "versions": versions(),
        "storage": str(root),
        "note": "note",
        "database": None,
        "tracking": None,
        "data": None,
        "several": False,
    }
    return Asked(**{**asked, **changes})


def test_a_node_that_is_as_here_finds_nothing_to_mend(tmp_path: Path) -> None:
    found = {finding.what: finding for finding in Node().look(_asked(tmp_path))}
    assert {"versions", "storage"} <= set(found)
    assert (found["versions"].mend, found["storage"].mend) == ("", "")


def test_other_versions_and_other_code_are_told_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    here = versions()
    there = {**here, "torch": "1.0", "code of afdcd": "0000"}
    (found,) = versions_alike(here, there)
    code = here["code of afdcd"]
    assert found.found == f"code of afdcd 0000 (here {code}), torch 1.0 (here {here['torch']})"
    assert found.mend
    assert versions_alike(here, here)[0].mend == ""


def test_storage_that_is_another_place_there_is_told(tmp_path: Path) -> None:
    """A folder of that name on each node's own disk: every node can write it, and no run goes on."""
    (found,) = storage_shared(str(tmp_path), "a-note-that-is-elsewhere")
    assert found.found == f"{tmp_path} is another place than here"
    assert "s3://" in found.mend


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"database": "postgresql://me:s3cret@127.0.0.1:1/x"}, "study database"),
        ({"tracking": "http://me:s3cret@127.0.0.1:1"}, "MLflow"),
        ({"data": "/no/such/data"}, "data"),
    ],
)
def test_what_a_node_cannot_reach_is_its_line(
    changes: dict[str, str], what: str, tmp_path: Path
) -> None:
    found = [str(f) for f in Node().look(_asked(tmp_path, **changes))]
    (line,) = [line for line in found if f"  {what}: " in line]
    assert line.startswith(f"MEND  {what}: not usable; ")
    assert not any("s3cret" in line for line in found)
