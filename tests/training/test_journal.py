"""The journal beside a run's checkpoints: everything reported comes back, in order, once."""

import json
import math
from pathlib import Path

import pytest

from afdcd import storage
from afdcd.config import UserError
from afdcd.training import journal
from tests.examples import report, score


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_reports_come_back_in_their_order(tmp_path: Path, scheme: str) -> None:
    folder = f"{scheme}{tmp_path}/run"
    assert journal.read(folder) == []
    given = [report(n, n / 1000, curve={"kd": [1.0, 0.5]}) for n in (2, 10, 40000)]
    for one in reversed(given):
        journal.write(folder, one)
    assert journal.read(folder) == given
    assert journal.read(folder, after=2) == given[1:]
    assert journal.read(folder, after=40000) == []


def test_a_repeated_iteration_replaces_its_own_line_alone(tmp_path: Path) -> None:
    for one in (report(2, 0.1), report(4, 0.2), report(4, 0.3)):
        journal.write(str(tmp_path), one)
    assert journal.read(str(tmp_path)) == [report(2, 0.1), report(4, 0.3)]


def test_what_is_no_number_is_null_to_other_programs(tmp_path: Path) -> None:
    given = report(score=score(math.nan, **{"iou/sky": math.nan}), curve={"kd": [math.inf, 1.0]})
    journal.write(str(tmp_path), given)
    (file,) = (tmp_path / journal.FOLDER).iterdir()
    values = json.loads(file.read_text(), parse_constant=lambda word: pytest.fail(word))
    assert values["score"]["value"] is None
    (found,) = journal.read(str(tmp_path))
    assert math.isnan(found.score.value)
    assert math.isnan(found.score.parts["iou/sky"])
    assert math.isnan(found.curve["kd"][0])
    assert found.curve["kd"][1] == 1.0


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"{}", b'{"iteration": 2}'])
def test_a_file_that_no_afdcd_wrote_is_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / journal.FOLDER / "00000002.json"
    storage.write_bytes(str(file), content)
    with pytest.raises(UserError) as error:
        journal.read(str(tmp_path))
    assert str(error.value) == f"{file}: no report of a run; restore it or delete it"


def test_other_files_beside_it_are_passed_over(tmp_path: Path) -> None:
    journal.write(str(tmp_path), report(2))
    for name in (".00000004.json.abc.tmp", "notes.txt", "x.json"):
        (tmp_path / journal.FOLDER / name).write_text("{")
    assert journal.read(str(tmp_path)) == [report(2)]
