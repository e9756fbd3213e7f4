"""A student and a teacher of different strides, resize rules and recipes: a PVTv2 taught by DeepLabV3."""

from typing import Any

import pytest
import torch

from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.data.train.loader import train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.training.build_learner import build_learner
from afdcd.training.shapes import check_shapes, pair_shapes
from tests.examples import trial
from tests.training.networks import CLASSES, CPU, built_teacher

PVT = {"head": "mlp", "encoder": "timm:pvt_v2_b0"}
DEEPLAB = {"head": "deeplabv3", "encoder": "timm:resnet10t"}
ADAMW = {"type": "adamw"}
METHODS: list[dict[str, Any]] = [
    {"method": "kd"},
    {"method": "mgd"},
    {"method": "afdcd", "groups": 8, "patch": 2, "pool": 0},
]


def _trial(distiller: dict[str, Any], root: str = "shards", **training: Any) -> Any:
    return trial(
        pair__student=PVT,
        pair__teacher__model=DEEPLAB,
        distiller=distiller,
        data__root=root,
        **{f"training__{key}": value for key, value in training.items()},
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("scenes"))
    prepare_synthetic(folder, SyntheticConfig(height=64, width=64, train=16, val=1, test=1))
    return folder


@pytest.mark.parametrize("distiller", METHODS, ids=lambda d: d["method"])
def test_it_learns_from_rendered_scenes(distiller: dict[str, Any], root: str) -> None:
    config = _trial(
        distiller,
        root,
        iterations=6,
        lr=1e-3,
        optimizer=ADAMW,
        head_lr_scale=10.0,
        decay_norms=False,
    )
    torch.manual_seed(0)
    teacher = built_teacher(config.pair.teacher.model)
    learner = build_learner(config, CLASSES, teacher, CPU)
    assert {(g["lr_scale"], g["weight_decay"] > 0) for g in learner.optimizer.param_groups} == {
        (1.0, True), (1.0, False), (10.0, True), (10.0, False),
    }  # fmt: skip
    before = {name: p.detach().clone() for name, p in learner.step.named_parameters()}
    batches = train_batches(
        config.data, config.data.location, seed=0, batch=4, rank=0, world=1, start=0, stop=6
    )
    for iteration, batch in enumerate(prefetch(batches, CPU, config.data.normalisation)):
        learner.iterate(iteration, *batch)
    first, *_, last = (terms for _, terms in learner.drain())
    assert last["task"] < first["task"]
    assert learner.diverged is None
    still = [n for n, p in learner.step.named_parameters() if p.equal(before[n])]
    assert not still


def test_methods_see_the_coarser_grid() -> None:
    config = _trial(METHODS[2])
    shapes = pair_shapes(config.pair.student, config.pair.teacher.model, CLASSES)
    assert shapes.grid("encoder", (256, 512)) == (8, 16)  # the student's stride is 32, not 8
    assert shapes.grid("logits", (256, 512)) == (32, 64)  # the teacher's is 8, the student's 4
    assert shapes.channels("encoder") == (256, 512)
    with pytest.raises(ValueError, match="patch 3x3 does not fit the 2x2 map"):
        check_shapes(_trial({**METHODS[2], "patch": 3}), CLASSES)
    check_shapes(config, CLASSES)


def test_an_encoder_of_one_size_is_refused_before_it_trains() -> None:
    config = trial(pair__student={"head": "mlp", "encoder": "timm:swin_tiny_patch4_window7_224"})
    with pytest.raises(UserError, match="does not take pictures of 64x64 pixels"):
        check_shapes(config, CLASSES)


def test_a_map_that_a_network_does_not_have_is_named_with_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from afdcd.distillers.configs import KDConfig, Needs

    monkeypatch.setattr(KDConfig, "needs", Needs(frozenset(), frozenset({"aux", "logits"})))
    config = _trial({"method": "kd"}).updated()
    object.__setattr__(config.pair.teacher.model, "aux", False)
    with pytest.raises(
        ValueError, match=r"method kd reads aux of the teacher, but deeplabv3-resnet10t"
    ):
        check_shapes(config, CLASSES)


def test_the_recipe_of_before_is_the_same_run() -> None:
    """Keys that came with strided networks leave no trace where they are not used."""
    before = trial().training.identity()
    assert not {"head_lr_scale", "decay_norms"} & before.keys()
    assert trial(training__head_lr_scale=10.0).training.identity() != before
    assert trial(training__decay_norms=False).training.identity() != before
