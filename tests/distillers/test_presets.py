"""Presets: the published numbers, and that a preset is only a way of writing them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import optuna
import pytest

from afdcd.config import UserError, validate
from afdcd.distillers.configs import AfDCDConfig
from afdcd.distillers.configs.afdcd_presets import PRESETS, PresetName
from afdcd.search.load import SearchSpace, load_space
from afdcd.search.space import parameters_of, resolve
from afdcd.training.trial import TrialConfig
from tests.examples import trial
from tests.sampled import suggest

# kd, fd and contrast weight, and what else differs from the code's defaults.
PUBLISHED: dict[str, tuple[float, float, float, dict[str, Any]]] = {
    "cityscapes-deeplabv3-resnet18": (
        1.0,
        0.000002,
        0.005,
        {"mask": "centre", "projector": "enhanced"},
    ),
    "cityscapes-deeplabv3-resnet18-random-plain": (1.0, 0.000002, 0.005, {}),
    "cityscapes-deeplabv3-mobilenetv2": (1.0, 0.000002, 0.005, {}),
    "camvid-deeplabv3-resnet18": (1.0, 0.000008, 0.01, {"pool": 0}),
    "camvid-pspnet-resnet18": (1.0, 0.000008, 0.01, {"pool": 0}),
    "voc-deeplabv3-resnet18": (1.0, 0.000001, 0.005, {}),
    "voc-pspnet-resnet18": (1.0, 0.000001, 0.005, {}),
    "ade20k-deeplabv3-resnet18": (0.5, 0.000001, 0.04, {}),
    "coco_stuff-deeplabv3-resnet18": (0.5, 0.000005, 0.005, {}),
    "code-defaults": (1.0, 0.00004, 0.001, {}),
    "supplement": (1.0, 0.00002, 0.005, {"tau": 0.7}),
}
CODE = {
    "method": "afdcd",
    "weights": "official",
    "temperature": 1.0,
    "tau": 0.07,
    "groups": 16,
    "patch": 4,
    "pool": 4,
    "mask": "random",
    "mask_ratio": 0.75,
    "projector": "plain",
    "negatives": "other_groups",
    "design": "omni",
}
CAMVID = "camvid-pspnet-resnet18"
SPACE = f"""data: {{dataset: synthetic, root: shards, crop: [64, 64]}}
pair:
  student: {{head: pspnet, encoder: "timm:lcnet_050"}}
  teacher:
    model: {{head: pspnet, encoder: "timm:resnet10t"}}
    train: {{iterations: 20, validate_every: 10, batch: 4}}
distiller:
  choice:
    - {{method: none}}
    - method: afdcd
      preset: {CAMVID}
      tau: {{log: [0.05, 1.0]}}
training: {{iterations: 4, validate_every: 2, batch: 4}}
"""


@pytest.mark.parametrize("name", PUBLISHED)
def test_equals_what_was_published(name: str) -> None:
    kd, fd, contrast, other = PUBLISHED[name]
    weights = {"kd_weight": kd, "fd_weight": fd, "contrast_weight": contrast}
    assert validate(AfDCDConfig, {"preset": name}).plain() == CODE | weights | other


def test_every_preset_is_known_by_name_and_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "methods.md").read_text()
    assert set(PRESETS) == set(PUBLISHED) == set(get_args(PresetName))
    for name, preset in PRESETS.items():
        row = next(line for line in documented.splitlines() if f"`{name}`" in line)
        assert preset.source.split(" ")[0] in row, name


def test_keys_that_are_given_win_whatever_their_order() -> None:
    for values in (
        {"preset": CAMVID, "tau": 0.5, "patch": [11, 2]},
        {"patch": [11, 2], "tau": 0.5, "preset": CAMVID},
    ):
        config = validate(AfDCDConfig, values)
        assert (config.tau, config.patch, config.pool) == (0.5, (11, 2), 0)


def test_a_run_is_the_same_whether_its_settings_are_named_or_written_out() -> None:
    named = trial(distiller={"method": "afdcd", "preset": CAMVID, "groups": 8})
    written = trial(
        distiller={
            "method": "afdcd",
            "kd_weight": 1,
            "fd_weight": 8e-6,
            "contrast_weight": 0.01,
            "pool": 0,
            "groups": 8,
        }
    )
    assert named == written
    assert named.fingerprint("data") == written.fingerprint("data")
    assert "preset" not in named.plain()["distiller"]
    assert validate(TrialConfig, named.plain()) == named
    assert named.distiller.updated(groups=4).pool == 0


@pytest.mark.parametrize("preset", [None, "code-defaults"])
def test_no_preset_is_the_codes_defaults(preset: str | None) -> None:
    assert validate(AfDCDConfig, {"preset": preset}) == AfDCDConfig()


def test_presets_are_official_weights_only() -> None:
    with pytest.raises(UserError, match=f"preset '{CAMVID}' gives official weights; remove"):
        validate(AfDCDConfig, {"preset": CAMVID, "weights": "portable"})


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., SearchSpace]:
    def load(text: str, *assignments: str) -> SearchSpace:
        file = tmp_path / "s.yaml"
        file.write_text(text)
        return load_space(str(file), list(assignments))

    return load


def test_ranges_beside_a_preset_are_searched_and_the_rest_is_as_published(load) -> None:
    space = load(SPACE)
    found = [e.distiller for e in space.examples if e.distiller.method == "afdcd"]
    assert {config.tau for config in found} == {0.05, 1.0}
    assert {(config.fd_weight, config.pool) for config in found} == {(8e-6, 0)}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sampled = [suggest(space.space, study.ask())["distiller"] for _ in range(10)]
    taus = [validate(AfDCDConfig, v).tau for v in sampled if v["method"] == "afdcd"]
    assert len(set(taus)) == len(taus) > 1


def test_presets_may_be_searched_and_enqueued(load) -> None:
    options = f"{{choice: [{CAMVID}, ade20k-deeplabv3-resnet18]}}"
    block = "{method: afdcd, preset: ade20k-deeplabv3-resnet18, tau: 0.07}"
    space = load(
        SPACE.replace(f"preset: {CAMVID}", f"preset: {options}").replace("[64, 64]", "[128, 128]"),
        f"study.enqueue=[{{distiller: {block}}}]",
    )
    (reference,) = space.study.enqueue
    parameters = parameters_of(space.space, reference, space.source, ())
    values = resolve(space.space, lambda name, _: parameters[name])
    expected = AfDCDConfig(preset="ade20k-deeplabv3-resnet18")
    assert validate(TrialConfig, values).distiller == expected


def test_an_enqueued_preset_pins_all_that_is_searched(load) -> None:
    searched = "contrast_weight: {log: [1e-4, 1e-1]}\n      groups: {choice: [8, 16]}"
    text = SPACE.replace("tau: {log: [0.05, 1.0]}", f"{searched}\n      tau: {{log: [0.05, 1.0]}}")
    for fixed in (f"preset: {CAMVID}", "{pool: 0, fd_weight: 8e-6}"):
        space = load(
            text.replace(f"preset: {CAMVID}", fixed.strip("{}").replace(", ", "\n      ")),
            f"study.enqueue=[{{distiller: {{method: afdcd, preset: {CAMVID}, groups: 8}}}}]",
        )
        (reference,) = space.study.enqueue
        parameters = parameters_of(space.space, reference, space.source, ())
        values = resolve(space.space, lambda name, _, given=parameters: given[name])
        assert validate(TrialConfig, values).distiller == AfDCDConfig(preset=CAMVID, groups=8)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        (
            "voc-pspnet-resnet18",
            "'voc-pspnet-resnet18' sets fd_weight to 1e-06, but this space fixes",
        ),
        ("voc-psp", "'voc-psp' is not one of 'cityscapes-deeplabv3-resnet18', "),
    ],
)
def test_an_enqueued_preset_that_the_space_cannot_be_is_refused_at_its_line(
    load, preset: str, message: str
) -> None:
    study = (
        f"study:\n  enqueue:\n    - distiller:\n        method: afdcd\n        preset: {preset}\n"
    )
    with pytest.raises(
        UserError, match=rf"s\.yaml:18: study\.enqueue\.0\.distiller\.preset: {message}"
    ):
        load(SPACE + study)


def test_an_override_replaces_or_removes_a_preset(load) -> None:
    for text in (SPACE, SPACE.replace(f"preset: {CAMVID}", "pool: 0")):
        block = "distiller={method: afdcd, pool: 0, preset: voc-pspnet-resnet18}"
        (example,) = load(text, block, "distiller.kd_weight=3.0").examples
        assert example.distiller == AfDCDConfig(preset="voc-pspnet-resnet18", pool=0, kd_weight=3)
        (example,) = load(text, block, "distiller.preset=").examples
        assert example.distiller == AfDCDConfig(pool=0)


def test_an_unknown_preset_lists_the_right_ones_at_its_line(load) -> None:
    with pytest.raises(UserError) as error:
        load(SPACE.replace(CAMVID, "camvid-psp-resnet18"))
    (line,) = str(error.value).splitlines()
    assert "s.yaml:11: distiller.preset: 'camvid-psp-resnet18' is not one of " in line
    assert all(f"'{name}'" in line for name in PUBLISHED)


def test_an_unknown_key_beside_a_preset_suggests_the_nearest(load) -> None:
    for wrong, right in (("taw", "tau"), ("presett", "preset")):
        with pytest.raises(UserError) as error:
            load(SPACE.replace("      tau:", f"      {wrong}:"))
        (line,) = str(error.value).splitlines()
        assert line.endswith(f"s.yaml:12: distiller.{wrong}: unknown key; did you mean {right!r}?")


def test_a_wrong_value_beside_a_preset_names_its_own_line(load) -> None:
    with pytest.raises(UserError, match=r"s\.yaml:12: distiller\.tau: input should be greater"):
        load(SPACE.replace("{log: [0.05, 1.0]}", "-1.0"))
