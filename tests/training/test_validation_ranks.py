"""Two ranks, whose running statistics differ after each iteration, validate one network."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import nn

from afdcd.data.synthetic.dataset import SyntheticConfig, prepare_synthetic
from afdcd.data.train.loader import evaluation_images
from afdcd.tasks.segmentation import evaluate
from afdcd.training import worker
from afdcd.training.artifacts import STUDENT_FILE, load_from, save_result
from afdcd.training.checkpoint import Position
from afdcd.training.job import Job
from afdcd.training.notice import Notice
from afdcd.training.pulse import Pulses
from afdcd.training.run import Run
from tests.examples import job
from tests.pulses import attempt
from tests.training.networks import CLASSES, CPU, batch, learner_of

# The two processes take a while to start, so they do it once for both tests.
pytestmark = [pytest.mark.xdist_group("validation_ranks"), pytest.mark.timeout(180)]
CHANGES: dict[str, Any] = {"distiller": {"method": "none"}, "data__protocol": "official"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two ranks left: their scores and statistics, and the weights that rank 0 saved."""
    path = tmp_path_factory.mktemp("ranks")
    small = SyntheticConfig(height=64, width=80, train=2, val=5, test=1)
    prepare_synthetic(str(path / "shards"), small)
    mp.spawn(_one_of_two, (str(path),), nprocs=2)
    return path


def test_recorded_score_is_that_of_the_saved_weights(folder: Path) -> None:
    """Whichever rank looked at an image."""
    given = _job(str(folder))
    student, _ = load_from(str(folder / STUDENT_FILE))
    images = evaluation_images(given.config.data, given.config.data.location, "val")
    expected = evaluate(student, images, CLASSES, CPU)
    for rank in range(2):
        scores = json.loads((folder / f"scores{rank}.json").read_text())
        assert scores["value"] == expected.miou > 0
        assert scores["parts"]["pixel_accuracy"] == expected.pixel_accuracy


def test_ranks_that_agree_had_differed(folder: Path) -> None:
    """Else the score would be the same whatever validation did."""
    trained, validated = (
        [load_file(folder / f"{moment}{rank}.safetensors") for rank in range(2)]
        for moment in ("trained", "validated")
    )
    variances = [name for name in trained[0] if name.endswith("running_var")]
    assert variances
    assert all(not trained[0][name].equal(trained[1][name]) for name in variances)
    for name, value in trained[0].items():  # rank 0's, which its checkpoint holds
        assert value.equal(validated[0][name]), name
        assert value.equal(validated[1][name]), name


def _job(folder: str) -> Job:
    return job(folder=folder, data__root=f"{folder}/shards", **CHANGES)


def _one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    learner = learner_of(rank, 2, **CHANGES)
    for module in learner.step.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # statistics of the last batch: what is predicted hangs on them
    images, labels = batch(images=2, side=32)
    for iteration in range(2):
        learner.iterate(iteration, images * 10**rank, labels)
    save_file(dict(learner.step.named_buffers()), f"{folder}/trained{rank}.safetensors")
    pulses = Pulses(4, 2, attempt(), lambda _: None)
    score = worker._validate(Run(_job(folder), learner, Position(), pulses, Notice(lambda: None)))
    save_file(dict(learner.step.named_buffers()), f"{folder}/validated{rank}.safetensors")
    Path(f"{folder}/scores{rank}.json").write_text(json.dumps(score.plain()))
    if rank == 0:
        save_result(_job(folder), learner.step, score)
    dist.destroy_process_group()
