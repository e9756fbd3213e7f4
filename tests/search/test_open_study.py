"""Whose a study is, and what it refuses."""

import json
from pathlib import Path

import optuna
import pytest

from afdcd.config import UserError
from afdcd.search.open_study import OWNER, check_frame, claim, connect

FRAME = {"data.crop": (64, 64), "training.iterations": 40}


def database(folder: Path, name: str = "s") -> optuna.Study:
    return connect(f"sqlite:///{folder}/study.db", name)


def test_a_study_keeps_its_id_and_two_databases_have_two(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    first = database(tmp_path).user_attrs["id"]
    assert database(tmp_path).user_attrs["id"] == first
    assert database(tmp_path / "b").user_attrs["id"] != first


def test_a_folder_of_another_study_is_refused(tmp_path: Path) -> None:
    folder = str(tmp_path / "studies" / "s")
    claim(folder, database(tmp_path))
    claim(folder, database(tmp_path))  # the same one goes on
    (tmp_path / "study.db").unlink()
    with pytest.raises(UserError, match=r"belongs to study \w{8}, the database says \w{8}.*AFDCD_"):
        claim(folder, database(tmp_path))
    assert json.loads((Path(folder) / OWNER).read_text())["name"] == "s"


def test_what_makes_values_incomparable_is_refused_by_name(tmp_path: Path) -> None:
    check_frame(database(tmp_path), FRAME, "s.yaml")
    check_frame(database(tmp_path), FRAME, "s.yaml")
    with pytest.raises(UserError, match=r"begun with training\.iterations = 40, here it is 80"):
        check_frame(database(tmp_path), {**FRAME, "training.iterations": 80}, "s.yaml")


def test_a_study_of_an_older_afdcd_is_refused_in_one_line(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    old = optuna.create_study(storage=url, study_name="s", direction="maximize")
    old.set_user_attr("identity", "0" * 64)  # as 1ff7205 wrote it
    with pytest.raises(UserError, match=r"begun by an earlier afdcd.* study\.name=") as error:
        connect(url, "s")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["sqlite:////no/such/folder/study.db", "nosuch://user:secret@host/db", "nonsense"]
)
def test_unusable_database_is_one_line_without_password(url: str) -> None:
    with pytest.raises(UserError, match="AFDCD_STUDY_DB") as error:
        connect(url, "s")
    assert "\n" not in str(error.value)
    assert "secret" not in str(error.value)
