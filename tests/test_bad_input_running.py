"""What goes wrong inside a running trial: that trial tells its cause, the others go on."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from afdcd.data.shards.rows import open_split
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.seeds import derive

SPACE = """
data: {{dataset: synthetic, root: {root}, crop: [64, 64]}}
pair:
  student: {{head: pspnet, encoder: "timm:lcnet_050"}}
training:
  iterations: 2
  validate_every: 2
  batch: 2
  lr: {{choice: [0.01, 1e38]}}
  seed: {{choice: [0, {unlucky}]}}
study:
  trials: 3
  enqueue:
    - training: {{lr: 0.01, seed: 0}}
    - training: {{lr: 0.01, seed: {unlucky}}}
    - training: {{lr: 1e38, seed: 0}}
"""
IMAGES = 4  # that a trial of two iterations sees


@pytest.mark.timeout(620)
def test_a_bad_row_and_a_divergence_fail_their_trials_alone(tmp_path: Path) -> None:
    root = tmp_path / "data"
    prepare_synthetic(str(root), SyntheticConfig(height=64, width=64, train=36, val=1, test=6))
    unlucky, key = _damage_a_row_that_seed_0_does_not_see(root)
    space = tmp_path / "damaged.yaml"
    space.write_text(SPACE.format(root=root, unlucky=unlucky))
    done = subprocess.run(
        [sys.executable, "-m", "afdcd.tune", str(space)],
        env={**os.environ, "AFDCD_STORAGE": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    ends = [line.split("] ", 1)[1] for line in done.stdout.splitlines() if " failed: " in line]
    assert len(ends) == 2
    bad_row, diverged = sorted(ends)
    assert bad_row.startswith("trial 1 none failed: ")
    assert f"row '{key}' cannot be read" in bad_row
    assert bad_row.endswith("prepare the data set again")
    assert diverged == "trial 2 none failed: loss term task is not finite at iteration 2"
    assert "models:/damaged@champion  0 " in done.stdout


def _damage_a_row_that_seed_0_does_not_see(root: Path) -> tuple[int, str]:
    """A seed whose first images include one that seed 0 leaves out, and that image's key."""
    rows = open_split(str(root), "synthetic", "dev", "train")

    def seen(seed: int) -> set[int]:
        rng = np.random.default_rng(derive(seed, "order", 0))
        return set(rng.permutation(len(rows))[:IMAGES].tolist())

    key = rows.key(min(seen(1) - seen(0)))
    (shard,) = root.glob("train-*.parquet")
    stored = {row["key"]: row["image"] for row in pq.read_table(shard).to_pylist()}
    content = shard.read_bytes()
    middle = content.index(stored[key]) + len(stored[key]) // 2
    shard.write_bytes(content[:middle] + bytes(64) + content[middle + 64 :])  # of the same size
    return 1, key
