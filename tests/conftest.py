"""What every test stands on: shapes are checked, and nothing is written outside temporary folders."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

# Kernels are compiled where there is a GPU; elsewhere their Python runs, element by element. Triton
# looks at this when a kernel is defined, so before anything of afdcd is imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

# Shapes in the signatures of losses and distillers are checked in tests, and only there.
install_import_hook(["afdcd.losses", "afdcd.distillers"], "beartype.beartype")

# One thread here and in every process that a test starts: more would wait for each other's cores.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# A shell that starts the tests in the background lets them ignore Ctrl-C, and all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

RAY = pytest.mark.xdist_group("ray").mark
DEAR = {"s3_server": "s3", "_empty_database": "mlflow"}  # fixture -> group of its tests
SERVERS = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "AFDCD_STUDY_DB", "RAY_ADDRESS")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") == "loadgroup" and pytest.version_tuple >= (9, 2):
        raise pytest.UsageError(
            "with pytest 9.2 pytest-xdist 3.8 forgets the groups of tests, without a word; "
            "install pytest<9.2"
        )


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """A failure is told at once: whoever watches a long run need not wait for its end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        print(f"\n{report.nodeid} failed ({report.when}):\n{report.longreprtext}", flush=True)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Which tests share a process when there are several (`make test`), and which come first there.

    Tests marked xdist_group("ray") start a Ray cluster, and two of them on one host disturb each
    other. They take the longest and mostly wait, so one process begins with them while another
    does the rest. Tests that use a server or a database that takes seconds to make share one.
    """
    for item in items:
        if item.get_closest_marker("xdist_group") == RAY:
            continue  # a test has one group
        for fixture in DEAR.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(DEAR[fixture]))
    if config.getoption("loadgroup", False):  # in a process of pytest-xdist
        items.sort(key=lambda item: item.get_closest_marker("xdist_group") != RAY)


@pytest.fixture(scope="session", autouse=True)
def _own_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", str(tmp_path_factory.mktemp("storage")))
        yield


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """For each test anew: MLflow itself sets its variable as soon as it is used."""
    for name in SERVERS:
        monkeypatch.setenv(name, "")  # so that it is put back as it was
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run; making its tables takes seconds, copying them does not."""
    from afdcd.tracking.server import connect  # loads MLflow, which few tests need

    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", str(folder))
        patch.setenv("MLFLOW_EXPERIMENT_NAME", "warmup")
        patch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it
        connect()
    return folder / "mlflow.db"


@pytest.fixture
def mlflow_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _empty_database: Path) -> Path:
    """The folder that AFDCD_STORAGE names in this test, with an MLflow database in it."""
    shutil.copy(_empty_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    return tmp_path
