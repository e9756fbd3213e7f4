"""What the published methods of others have in common: presets, precision, odd sizes and little batches."""

import pytest
import torch
from torch import Tensor

from afdcd.config import UserError, validate
from afdcd.distillers.configs import METHODS, MethodConfig, PairShapes
from afdcd.models.outputs import Output
from afdcd.models.taps import Tap
from afdcd.training.trial import TrialConfig
from tests.distillers.pairs import STEP
from tests.examples import trial

RIVALS = ("skd", "ifvd", "cwd", "cirkd", "maskd", "mgd")
CLASSES = 4
SMALL = {"cirkd": {"pixel_memory": 40, "region_memory": 5}}
every_rival = pytest.mark.parametrize("method", RIVALS)


@every_rival
def test_under_autocast_it_computes_in_full_precision(method: str) -> None:
    """Maps that are in fp32 give the same terms: no cosine, Gram matrix or softmax is in bf16."""
    settings = {"mgd": {"fd_weight": 0, "logits_weight": 3}}.get(method, SMALL.get(method, {}))
    found = []
    for enabled in (False, True):
        distiller = _built(METHODS[method](**settings), widths=(6, 6))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(distiller(_output(6), _output(6, seed=1), _labels(), STEP))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-6, atol=1e-7, msg=name)


@every_rival
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (45, 45)])
def test_maps_of_any_size_will_do(method: str, size: tuple[int, int]) -> None:
    distiller = _built(METHODS[method](**SMALL.get(method, {})))
    student = _output(6, size=size)
    terms = distiller(student, _output(9, seed=1, size=size), _labels(size), STEP)
    assert terms
    sum(terms.values()).backward()
    for tap in (student.logits, *student.features.values()):
        assert tap.grad is None or tap.grad.isfinite().all()


@every_rival
def test_maps_without_any_feature_and_labels_without_a_class_give_finite_gradients(
    method: str,
) -> None:
    distiller = _built(METHODS[method](**SMALL.get(method, {})))
    student, teacher = _output(6), _output(9, seed=1)
    with torch.no_grad():
        for x in (*student.features.values(), *teacher.features.values(), student.logits):
            x.zero_()
    terms = distiller(student, teacher, torch.full((2, 64, 96), 255), STEP)
    sum(terms.values()).backward()
    for name, tap in {"logits": student.logits, **student.features}.items():
        assert tap.grad is None or tap.grad.abs().max() < 1e3, name


@every_rival
def test_a_published_setting_says_all_but_its_name(method: str) -> None:
    config = METHODS[method]
    keys = config.model_fields.keys() - {"method", "preset"}
    assert config.PRESETS
    for name, preset in config.PRESETS.items():
        assert preset.values.keys() == keys, name
        assert "@" in preset.source, name
        chosen = validate(config, {"method": method, "preset": name})
        assert {key: getattr(chosen, key) for key in keys} == preset.values
        if "official" in keys:
            assert preset.values["official"] is True


every_adapted = pytest.mark.parametrize("method", ["cwd", "cirkd", "mgd"])


@every_adapted
def test_adapters_are_clipped_but_not_as_published(method: str) -> None:
    """Officially nothing is. Those of a combination are clipped part by part, by one norm."""
    config = METHODS[method](**SMALL.get(method, {}))
    clipped, free = (_built(config.updated(clip_adapters=on)) for on in (True, False))
    player = set() if clipped.adversary is None else set(clipped.adversary.parameters())
    assert clipped.clipped() == [p for p in clipped.parameters() if p not in player] != []
    assert free.clipped() == []
    name = next(iter(config.PRESETS))
    assert config.PRESETS[name].values["clip_adapters"] is False
    terms = {method: {**SMALL.get(method, {}), "clip_adapters": False}, "afdcd": {"groups": 3}}
    both = _built(validate(METHODS["combined"], {"method": "combined", "terms": terms}))
    assert both.clipped() == list(both.parts["afdcd"].parameters())


@every_adapted
def test_a_run_whose_adapters_were_clipped_is_still_the_same_and_another_is_not(
    method: str,
) -> None:
    config = METHODS[method]()
    assert "clip_adapters" not in config.identity()
    free = config.updated(clip_adapters=False)
    assert free.identity() == {**config.identity(), "clip_adapters": False}
    nothing = {key: 0.0 for key in METHODS[method].model_fields if key.endswith("_weight")}
    assert free.updated(**nothing).identity() == config.updated(**nothing).identity()


@pytest.mark.parametrize("method", ["skd", "ifvd", "cwd", "cirkd"])
def test_images_that_are_compared_are_not_taken_one_by_one(method: str) -> None:
    plain = trial(training__batch=4, distiller={"method": method}).plain()
    plain["training"] |= {"batch": 1}
    with pytest.raises(UserError, match=r"training\.batch: each worker needs at least 2 images"):
        validate(TrialConfig, plain)
    plain["training"] |= {"batch": 4, "accumulate": 2}
    with pytest.raises(UserError, match=r"training\.accumulate: method .* compares the images"):
        validate(TrialConfig, plain)


def test_without_a_second_player_a_batch_may_be_taken_in_parts() -> None:
    settings = {"method": "ifvd", "adversarial_weight": 0}
    trial(training__batch=4, training__accumulate=2, distiller=settings)


def _built(config: MethodConfig, widths: tuple[int, int] = (6, 9)) -> torch.nn.Module:
    torch.manual_seed(0)
    taps = {name: (Tap(widths[0], 8), Tap(widths[1], 8)) for name in ("encoder", "head")}
    logits = (Tap(CLASSES, 8),) * 2
    return config.build(PairShapes({**taps, "logits": logits, "aux": logits}, CLASSES))


def _output(channels: int, *, seed: int = 0, size: tuple[int, int] = (8, 12)) -> Output:
    generator = torch.Generator().manual_seed(seed)

    def drawn(channels: int) -> Tensor:
        return torch.randn(2, channels, *size, generator=generator).requires_grad_()

    features = {name: drawn(channels) for name in ("encoder", "head")}
    return Output(drawn(CLASSES), drawn(CLASSES), features)


def _labels(size: tuple[int, int] = (8, 12)) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, CLASSES, (2, 8 * size[0], 8 * size[1]), generator=generator)
