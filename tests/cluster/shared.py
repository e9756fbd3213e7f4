"""Data that tests need and that is not part of this repository: schemas and CRDs of others."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def shared(folder: str) -> Path:
    """AFDCD_SHARED, or `shared` beside the checkout; where it is missing the test is skipped aloud."""
    base = Path(os.environ.get("AFDCD_SHARED") or ROOT.parent / "shared")
    if not (base / folder).is_dir():
        pytest.skip(f"needs {base / folder}: set AFDCD_SHARED to the folder that holds {folder}/")
    return base / folder
