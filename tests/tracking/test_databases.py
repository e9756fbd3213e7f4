"""Two URLs that mean one database, however they are spelled, and URLs that only look alike."""

from itertools import combinations
from pathlib import Path

import pytest

from afdcd import tune
from afdcd.cli import USER_ERROR, run
from afdcd.config import UserError
from afdcd.environment import study_database, tracking_uri
from afdcd.search import kept
from afdcd.tracking.databases import check_apart, meant

SAME = (
    (
        "postgresql://db/x",
        "postgresql+psycopg2://db/x",
        "postgresql+psycopg://me:secret@DB:5432/x",
        "postgresql://you@db/x?sslmode=require&connect_timeout=3",
        "postgresql:///x?host=db",
        "postgresql:///x?host=db&port=5432",
    ),
    ("postgresql://localhost/x", "postgresql://127.0.0.1:5432/x", "postgresql+pg8000:///x"),
    (
        "mysql://db/x",
        "mysql+pymysql://db:3306/x?charset=utf8mb4",
        "mariadb+mariadbconnector://db/x",
    ),
    (
        "sqlite:///x.db",
        "sqlite:///./sub/../x.db",
        "sqlite+pysqlite:///x.db?timeout=9",
        "sqlite:////HERE/x.db",
        "sqlite:///file:HERE/x.db?uri=true",
        "sqlite:///link.db",
    ),
)
OTHERS = (
    "postgresql://db/y",
    "postgresql://db:5433/x",
    "postgresql://other/x",
    "postgresql://db/x?options=-csearch_path%3Dmlflow",
    "sqlite:///y.db",
    "sqlite:///sub/x.db",
    "mysql://db/y",
)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "x.db")
    return tmp_path


def spelled(url: str, here: Path) -> str:
    return url.replace("/HERE", str(here)).replace("HERE", str(here))


@pytest.mark.parametrize("group", SAME, ids=lambda group: group[0])
def test_one_database_however_it_is_spelled(group: tuple[str, ...], here: Path) -> None:
    for one, other in combinations([spelled(url, here) for url in group], 2):
        with pytest.raises(UserError, match="are one database") as error:
            check_apart(one, other)
        assert "secret" not in str(error.value)
        assert "\n" not in str(error.value)


def test_two_databases_stay_two(here: Path) -> None:
    for one, other in combinations([*(group[0] for group in SAME), *OTHERS], 2):
        check_apart(one, other)


@pytest.mark.parametrize(
    "url",
    ["http://mlflow:5000", "https://h/x", "databricks", "sqlite://", "sqlite:///:memory:", "?"],
)
def test_what_is_no_database_of_its_own_is_none(url: str) -> None:
    assert meant(url) is None
    check_apart(url, url)


@pytest.mark.parametrize("first", ["", "x.db"])
def test_one_database_for_both_is_refused_before_anything_starts(
    first: str, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Optuna's tables in MLflow's database were a traceback, after Ray was started."""
    file = here / "s.yaml"
    file.write_text(
        """data: {dataset: synthetic, root: nowhere, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 4, validate_every: 2, batch: 4}
study: {trials: 1}
"""
    )
    monkeypatch.setenv("AFDCD_STORAGE", str(here / "runs"))
    monkeypatch.setenv("AFDCD_STUDY_DB", f"sqlite:///{here}/x.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///x.db")
    assert run(tune.main, [str(file)]) == USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert "MLFLOW_TRACKING_URI=sqlite:///x.db and AFDCD_STUDY_DB=" in line
    assert not (here / "x.db").exists()
    with pytest.raises(UserError, match="are one database"):
        kept.kept_study("s")


@pytest.mark.parametrize("name", ["what?", "a#b", "100%41", "a?b#c%41 d"])
def test_an_odd_storage_folder_has_two_databases_in_it(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `?` ended the path: both were the one file that lay beside the folder."""
    import optuna
    from sqlalchemy import create_engine

    monkeypatch.setenv("AFDCD_STORAGE", name)
    check_apart(tracking_uri(), study_database())
    optuna.create_study(storage=study_database(), study_name="s")
    create_engine(tracking_uri()).connect().close()
    assert {path.name for path in (here / name).iterdir()} == {"study.db", "mlflow.db"}
    assert {path.name for path in here.iterdir()} == {name, "sub", "link.db"}
