"""Environment variables: what each says, and that one module reads them all."""

import re
from pathlib import Path

import pytest

import afdcd
from afdcd import environment
from afdcd.config import UserError
from afdcd.environment import ray_address, storage_root, study_database, tracking_uri
from afdcd.text import shown

PACKAGE = Path(afdcd.__file__).parent
READS = re.compile(r"os\.(environ|getenv)|environ\b.*\bget\(")


def test_no_other_module_reads_a_variable() -> None:
    readers = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if READS.search(file.read_text())
    }
    assert readers == {"environment.py"}


def test_what_is_read_is_listed_for_a_person() -> None:
    text = Path(environment.__file__).read_text()
    read = set(re.findall(r'given\("(\w+)"\)', text))
    assert len(read) >= 8
    assert read <= {variable.name for variable in environment.VARIABLES}


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "")
    assert environment.experiment_name() == "afdcd"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    assert environment.experiment_name() == "mine"


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan"])
def test_the_largest_picture_is_a_number(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment.max_megapixels() == 200
    monkeypatch.setenv("AFDCD_MAX_MEGAPIXELS", text)
    with pytest.raises(UserError, match=f"AFDCD_MAX_MEGAPIXELS={text}: must be a positive number"):
        environment.max_megapixels()


def test_what_a_person_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "7")
    monkeypatch.delenv("RAY_AIR_NEW_OUTPUT", raising=False)
    environment.set_defaults(environment.TUNE_DEFAULTS)
    assert environment.os.environ["TUNE_GLOBAL_CHECKPOINT_S"] == "7"
    assert environment.os.environ["RAY_AIR_NEW_OUTPUT"] == "0"


def test_default_is_a_file_in_the_storage_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "new"))
    assert tracking_uri() == f"sqlite:///{tmp_path}/new/mlflow.db"
    assert study_database() == f"sqlite:///{tmp_path}/new/study.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    monkeypatch.setenv("AFDCD_STUDY_DB", "postgresql://db/x")
    assert (tracking_uri(), study_database()) == ("http://server:5000", "postgresql://db/x")


def test_storage_is_absolute_unless_it_is_a_uri(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given, root in (
        ("runs", str(tmp_path / "runs")),
        ("~/runs", str(Path.home() / "runs")),
        ("s3://bucket/runs", "s3://bucket/runs"),
    ):
        monkeypatch.setenv("AFDCD_STORAGE", given)
        assert storage_root() == root


def test_remote_storage_needs_a_named_server_and_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", "s3://bucket/runs")
    with pytest.raises(UserError, match="so MLFLOW_TRACKING_URI must name"):
        tracking_uri()
    with pytest.raises(UserError, match="so AFDCD_STUDY_DB must name"):
        study_database()


def test_storage_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "file" / "runs"))
    with pytest.raises(UserError, match=r"AFDCD_STORAGE .* cannot be made"):
        tracking_uri()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://user:s3cret@host:5000/x", "http://host:5000/x"),
        ("http://s3cret@host", "http://host"),
        ("postgresql://user:p@ss@host/db", "postgresql://host/db"),
        (
            "GET http://u:s3cret@a/b failed, see http://u:s3cret@c",
            "GET http://a/b failed, see http://c",
        ),
        ("sqlite:////data/a@b.db", "sqlite:////data/a@b.db"),
        ("http://host/a@b", "http://host/a@b"),
    ],
)
def test_passwords_are_never_shown(text: str, clean: str) -> None:
    assert shown(text) == clean


def test_a_key_in_the_storage_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STORAGE", "s3://KEY:SECRET@bucket/x")
    with pytest.raises(
        UserError, match=r"AFDCD_STORAGE=s3://bucket/x: .* AWS_ACCESS_KEY_ID"
    ) as error:
        storage_root()
    assert "SECRET@" not in str(error.value)


def test_options_of_a_store_reach_those_who_read_the_environment() -> None:
    told = environment.store_defaults(
        "s3://b/x?endpoint_override=minio:9000&scheme=http&region=eu-west-1"
    )
    assert told == {
        "MLFLOW_S3_ENDPOINT_URL": "http://minio:9000",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    told = environment.store_defaults("s3://b/x?endpoint_override=https%3A%2F%2Fminio")
    assert told == {"MLFLOW_S3_ENDPOINT_URL": "https://minio"}
    assert environment.store_defaults("s3://b/x") == {}
    assert environment.store_defaults("/what?region=x") == {}


@pytest.mark.parametrize("address", ["http://head:8265", "https://head"])
def test_the_page_of_a_cluster_is_no_cluster(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=r"the page of a cluster; submit a job there .*HOST:6379"):
        ray_address()
