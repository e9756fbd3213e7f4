"""Real files that are no part of the repository.

AFDCD_SAMPLES names the folder that holds `samples/` and `camvid/`; a relative path counts from the
root of the repository. Tests on such files are skipped where it is not set.
"""

import os
from pathlib import Path

import pytest

_GIVEN = os.environ.get("AFDCD_SAMPLES")
_HOME = Path(__file__).parents[1] / (_GIVEN or "")
SAMPLES = _HOME / "samples"
CAMVID = _HOME / "camvid"

needs_samples = pytest.mark.skipif(not _GIVEN, reason="AFDCD_SAMPLES names no folder of real files")
