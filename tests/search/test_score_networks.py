"""Scores measured on the cluster, and while training: one rule for classes that no label holds."""

import math
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from afdcd.config import UserError
from afdcd.data.catalog.datasets import COCO_STUFF_182
from afdcd.data.train.config import DataConfig
from afdcd.models.outputs import Output
from afdcd.search import score_networks
from afdcd.search.cluster import Cluster
from afdcd.tasks import segmentation_task
from afdcd.training import worker
from afdcd.training.checkpoint import Position
from afdcd.training.learner import Learner
from afdcd.training.notice import Notice
from afdcd.training.pulse import Pulses
from afdcd.training.resources import ResourcesConfig
from afdcd.training.run import Run
from tests.examples import job, trial
from tests.pulses import attempt

CARD = {"normalisation": "imagenet", "task": "segmentation"}
DATA = DataConfig(dataset="coco_stuff_182", root="shards", crop=(64, 64))


class Hat(nn.Module):
    """Right but for the last pixel, which it calls hat: a class that never occurs."""

    def forward(self, images: Tensor) -> Output:
        names = ["person", "person", "snowboard", "hat"]
        predicted = torch.tensor([COCO_STUFF_182.classes.index(name) for name in names])
        logits = nn.functional.one_hot(predicted, 182).T.float()
        return Output(logits[None, :, None], None, {})


def images(*_: object, **__: object) -> Any:
    person, snowboard = map(COCO_STUFF_182.classes.index, ("person", "snowboard"))
    labels = torch.tensor([[[person, person, snowboard, snowboard]]])
    yield "a", torch.zeros(1, 3, 1, 4), labels


def test_a_registered_student_is_scored_over_the_classes_that_occur(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(score_networks, "load_from", lambda _: (Hat(), SimpleNamespace(**CARD)))
    monkeypatch.setattr(segmentation_task, "evaluation_images", images)
    score = score_networks._measure("student.safetensors", DATA, "test")
    assert score.value == 0.75
    assert math.isnan(score.group("iou")["hat"])
    assert len(score.group("iou")) == 182


def test_and_so_is_one_that_still_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation_task, "evaluation_images", images)
    learner = SimpleNamespace(
        share_buffers=lambda: None,  # one rank alone
        step=SimpleNamespace(student=Hat(), task=segmentation_task.SEGMENTATION),
        rank=0,
        world=1,
        device=torch.device("cpu"),
        autocast=None,
    )
    pulses = Pulses(4, 2, attempt(), lambda _: None)
    given = job().updated(config=trial().updated(data=DATA))
    run = Run(given, cast(Learner, learner), Position(), pulses, Notice(lambda: None))
    assert worker._validate(run).value == 0.75


def test_what_hangs_while_it_is_measured_is_told_and_what_is_slow_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(score_networks, "LOOK", 0.001)
    now, work, count = [0.0], Future[int](), [0]

    def clock() -> float:
        now[0] += 100.0
        return now[0]

    def slow() -> int:
        count[0] += 1
        if count[0] == 500:
            work.set_result(7)
        return count[0]

    assert score_networks.results([work], slow, clock) == [7]
    with pytest.raises(UserError, match=r"measuring networks: no sign of life for .* again"):
        score_networks.results([Future[int]()], lambda: 0, clock)


def test_an_error_while_measuring_here_is_the_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*_: object) -> None:
        raise UserError("row 3 is damaged")

    monkeypatch.setattr(score_networks, "_measure", damaged)
    with pytest.raises(UserError, match="row 3 is damaged"):
        score_networks._measured_here("w", DATA, "val")


@pytest.mark.parametrize(("written", "threads"), [(None, 4), (1.0, 1)])
def test_scoring_on_one_host_computes_as_a_run_that_is_alone_there(
    monkeypatch: pytest.MonkeyPatch, written: float | None, threads: int
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    monkeypatch.setattr(score_networks, "_measure", lambda *_: None)
    resources = ResourcesConfig(cpus_per_worker=written)
    spent: list[float] = []
    score_networks.score_networks(
        ["student.safetensors"], DATA, "test", Cluster(4, 0, 1, measured=spent.append), resources
    )
    assert asked == [threads]
    assert spent[0] > 0  # what measuring took is told, once
    assert len(spent) == 1
