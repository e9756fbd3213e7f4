"""What every test stands on: shapes are checked, and nothing is written outside temporary folders."""

import os
from collections.abc import Iterator

import pytest
import torch
from jaxtyping import install_import_hook

# Shapes in the signatures of losses and distillers are checked in tests, and only there.
install_import_hook(["afdcd.losses", "afdcd.distillers"], "beartype.beartype")

torch.set_num_threads(1)

# Without a GPU, kernels are tested by Triton's interpreter. It is chosen when Triton is imported,
# which many a package does: so before anything else is.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

SERVERS = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "AFDCD_STUDY_DB", "RAY_ADDRESS")


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
