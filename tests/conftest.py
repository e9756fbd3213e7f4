"""What every test stands on: shapes are checked, and nothing is written outside temporary folders."""

from collections.abc import Iterator

import pytest
import torch
from jaxtyping import install_import_hook

# Shapes in the signatures of losses and distillers are checked in tests, and only there.
install_import_hook(["afdcd.losses", "afdcd.distillers"], "beartype.beartype")

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _own_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AFDCD_STORAGE", str(tmp_path_factory.mktemp("storage")))
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "AFDCD_STUDY_DB"):
            patch.delenv(name, raising=False)
        patch.delenv("RAY_ADDRESS", raising=False)
        yield
