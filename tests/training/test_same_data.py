"""A run trains on the very data that its record speaks of."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.data.shards.manifest import read_manifest
from afdcd.training.job import Job
from afdcd.training.worker import check_data
from tests.examples import trial
from tests.own_sets import prepare_own


def test_data_that_were_prepared_anew_are_refused(tmp_path: Path) -> None:
    root = prepare_own(tmp_path, "own")
    config = trial(data__dataset="own", data__root=root)
    digest = read_manifest(root).digest
    job = Job(name="a", title="a", config=config, folder="f", identity="i", data_digest=digest)
    check_data(job)
    check_data(job.updated(data_digest=None))  # of before it was written down
    with pytest.raises(
        UserError, match=f"holds data of digest {digest[:12]}, the study began with 000000"
    ):
        check_data(job.updated(data_digest="0" * 64))
