"""What is reckoned of memory and steps, beside steps that really run."""

import pytest
import torch

from afdcd.distillers.configs import (
    AfDCDConfig,
    CIRKDConfig,
    CombinedConfig,
    CWDConfig,
    MethodConfig,
    MGDConfig,
    PairShapes,
    SKDConfig,
)
from afdcd.models.taps import Tap
from afdcd.search.load import load_space
from afdcd.search.plan import known
from afdcd.search.plan.devices import GPUS, Device, Machine, cpu
from afdcd.search.plan.hours import CALLS, run_time
from afdcd.search.plan.make import make_plan
from afdcd.search.plan.measure import measure
from afdcd.search.plan.memory import memory_of
from afdcd.space_files import space_path
from afdcd.training.shapes import pair_shapes
from afdcd.training.trial import TrialConfig
from tests.examples import trial

HOST = cpu(64 * 2**30)
MIB = 2**20


@pytest.mark.timeout(180)
def test_a_real_step_holds_what_was_reckoned() -> None:
    """Within what the interval says; torch counts every tensor that is alive."""
    space = load_space(str(space_path("quickstart")), ["data.crop=[96, 96]"])
    plan = make_plan(space, Machine(HOST, 2))
    threads = torch.get_num_threads()
    try:
        found = measure(space, plan)
    finally:
        torch.set_num_threads(threads)
    assert found.keys() == {corner.kind for corner in (*plan.teachers, *plan.corners)}
    for corner in (*plan.teachers, *plan.corners):
        need = corner.memory.device
        assert need.low < found[corner.kind].peak < need.high, corner.kind
        assert 0 < found[corner.kind].seconds.low <= found[corner.kind].seconds.high


def paper(method: str = "afdcd", batch: int = 16) -> TrialConfig:
    """The pair of the README's measurements on an H200."""
    return trial(
        data__dataset="cityscapes",
        data__crop=[512, 1024],
        pair__student={"head": "deeplabv3", "encoder": "resnet18"},
        pair__teacher={
            "model": {"head": "deeplabv3", "encoder": "resnet101"},
            "weights": "t.safetensors",
        },
        distiller={"method": method},
        training__batch=batch,
    )


@pytest.mark.parametrize(("batch", "measured"), [(16, 12.2 * 1024), (2, 2707)])
def test_the_papers_step_needs_what_an_h200_showed(batch: int, measured: float) -> None:
    memory = memory_of(paper(batch=batch), GPUS["h200"])
    context = memory.context / MIB  # CUDA's own share is not in what torch counts
    assert memory.device.low / MIB - context < measured < memory.device.high / MIB - context


def test_what_rivals_cost_is_what_was_counted_on_the_official_code() -> None:
    """Per image of 512x1024, R101 and R18: GMAC with backward (CIRKD for a group of two)."""
    pair = pair_shapes(paper().pair.student, paper().pair.teacher.model, 19)
    nothing = {"adversarial_weight": 0.0}
    for config, expected in (
        (SKDConfig(**nothing), 2.7),
        (SKDConfig(pair_weight=0), 2.4),
        (SKDConfig(pair_weight=0, adversarial_loss="wgan-gp"), 2.4 + 1.6),
        (CWDConfig(**nothing), 0.8),
        (CIRKDConfig(pixel_weight=0, region_weight=0), 2 * 43),
        (CIRKDConfig(minibatch_weight=0), 33),
    ):
        assert config.cost(pair, (512, 1024)).gmacs == pytest.approx(expected, rel=0.35), config


def test_methods_that_are_joined_cost_what_each_of_them_does() -> None:
    """Whatever the plan asks of one by itself, it asks of it as a part."""

    def priced(method: MethodConfig, device: Device) -> tuple[float, float]:
        config = paper().updated(distiller=method)
        return memory_of(config, device).distillation, run_time(config, device).computing.likely

    alone = {"afdcd": AfDCDConfig(), "cwd": CWDConfig()}
    both = CombinedConfig.model_validate({"terms": {"afdcd": {}, "cwd": {}}})
    for device in (GPUS["h200"], HOST):
        none = priced(AfDCDConfig(kd_weight=0, fd_weight=0, contrast_weight=0), device)
        parts = [priced(method, device) for method in alone.values()]
        for found, plain, *each in zip(priced(both, device), none, *parts, strict=True):
            assert found - plain == pytest.approx(sum(one - plain for one in each), rel=1e-6)
        assert priced(both, device)[1] > 1.4 * none[1]


def test_maps_of_two_strides_are_priced_on_the_grid_on_which_they_are_compared() -> None:
    taps = {"encoder": (Tap(512, 32), Tap(2048, 8))}
    coarse = MGDConfig().cost(PairShapes(taps, 19), (512, 1024))
    same = MGDConfig().cost(PairShapes({"encoder": (Tap(512, 8), Tap(2048, 8))}, 19), (512, 1024))
    assert same.gmacs == pytest.approx(16 * coarse.gmacs)
    assert same.convolutions[0].places == 16 * coarse.convolutions[0].places == 64 * 128


def test_what_is_remembered_is_in_memory_and_in_checkpoints() -> None:
    less, more = (
        paper("cirkd").updated(distiller=CIRKDConfig(pixel_memory=slots)) for slots in (1, 20_001)
    )
    grown = 19 * 20_000 * 256 * 4
    device = GPUS["h200"]
    assert memory_of(more, device).distillation - memory_of(less, device).distillation == grown


@pytest.mark.parametrize(("method", "measured"), [("afdcd", 0.127), ("none", 0.0458)])
def test_the_papers_step_takes_what_an_h200_took(method: str, measured: float) -> None:
    computing = run_time(paper(method), GPUS["h200"]).computing
    assert computing.low < measured < computing.high
    assert computing.likely == pytest.approx(measured, rel=0.25)


def test_an_image_is_cheaper_where_the_projector_has_winograds_algorithm() -> None:
    large, small = (run_time(paper(batch=n), GPUS["h200"]).computing.likely for n in (16, 2))
    calls = CALLS["GPU"]
    assert (large - calls) / 16 < 0.9 * (small - calls) / 2


def test_a_step_waits_for_its_loader() -> None:
    alone = paper().updated(data=paper().data.updated(loader_workers=4))
    time = run_time(alone, GPUS["h200"])
    assert time.loading == pytest.approx(16 * 0.075 / 4, rel=0.01)  # the PNGs of Cityscapes
    assert time.iteration.likely == time.loading > time.computing.likely
    many = run_time(paper().updated(data=paper().data.updated(loader_workers=32)), GPUS["h200"])
    assert many.iteration.likely == many.computing.likely


def test_half_precision_and_a_cpu_need_twice_the_maps() -> None:
    gpu, host = memory_of(paper("none"), GPUS["h200"]), memory_of(paper("none"), HOST)
    assert host.activations / gpu.activations == pytest.approx(2, rel=0.15)
    assert (host.context, host.optimizer) == (0, gpu.optimizer)


def test_in_parts_a_share_needs_less_and_adamw_keeps_two_numbers_of_each() -> None:
    whole, device = paper("none"), GPUS["h200"]
    divided = whole.updated(training=whole.training.updated(accumulate=4))
    assert memory_of(divided, device).activations < 0.35 * memory_of(whole, device).activations
    assert memory_of(divided, device).loader == memory_of(whole, device).loader
    adamw = whole.updated(training=whole.training.updated(optimizer={"type": "adamw"}))
    assert memory_of(adamw, device).optimizer == 2 * memory_of(whole, device).optimizer


def test_a_run_that_takes_its_share_in_parts_tells_nothing_of_one_that_does_not() -> None:
    setting = paper("none").plain()
    divided = {**setting, "training": {**setting["training"], "accumulate": 4}}
    before = {k: v for k, v in setting["training"].items() if k != "accumulate"}
    assert known._kind(divided, "cuda") != known._kind(setting, "cuda")
    assert known._kind({**setting, "training": before}, "cuda") == known._kind(setting, "cuda")
