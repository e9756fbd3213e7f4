"""Methods that are joined: the terms of each, their weights searched, and what does not go together."""

from pathlib import Path

import pytest
import torch

from afdcd.config import UserError, validate
from afdcd.distillers.configs import CombinedConfig, CWDConfig, MasKDConfig, MGDConfig
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.search.load import read_space
from afdcd.search.space import parameters_of
from afdcd.training.shapes import _check_gives
from tests.distillers.pairs import STEP, pair_of
from tests.distillers.rivals import output, pair

NOTHING = torch.zeros(2, 64, 64, dtype=torch.int64)
LOGITS = {"kd_weight": 0, "feature_weight": 0, "adversarial_weight": 0}


def _combined(**terms: dict[str, object]) -> CombinedConfig:
    return validate(CombinedConfig, {"method": "combined", "terms": terms})


def test_terms_are_those_of_each_method_by_itself() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (output(torch.randn(2, 3, 8, 8, generator=generator)) for _ in range(2))
    both = _combined(cwd=LOGITS, kd={"weight": 2}).build(pair(3))
    found = both(student, teacher, NOTHING, STEP)
    alone = CWDConfig(**LOGITS).build(pair(3))(student, teacher, NOTHING, STEP)
    assert found.keys() == {"cwd_channel", "kd_kd"}
    assert found["cwd_channel"] == alone["channel"]


def test_the_part_with_a_discriminator_plays_for_all() -> None:
    both = _combined(skd={}, kd={}).build(pair(3))
    assert both.adversary is both.parts["skd"].adversary is not None
    names = [name for name, _ in both.named_parameters()]
    assert all(name.startswith("parts.skd.adversary.") for name in names)
    assert _combined(cwd=LOGITS, kd={}).build(pair(3)).adversary is None


def test_what_does_not_go_together_is_refused_by_its_key() -> None:
    for terms, told in (
        ({"kd": {}}, "terms: at least two methods"),
        ({"skd": {}, "ifvd": {}}, "skd and ifvd would each have a discriminator"),
        ({"kd": {}, "none": {}}, r"terms\.none: unknown key; known keys: afdcd"),
        ({"kd": {}, "cwd": {"logit_weight": 3}}, r"terms\.cwd\.logit_weight: unknown key"),
    ):
        with pytest.raises(UserError, match=told):
            _combined(**terms)
    small = pair(3)
    with pytest.raises(
        ValueError, match=r"terms\.skd: official: the discriminator takes no logits"
    ):
        _combined(skd={"official": True}, kd={}).check(small, (128, 128))


def test_prerequisites_find_their_part() -> None:
    config = _combined(maskd={"tokens": 2, "aux_weight": 0}, kd={})
    assert config.prerequisites == {
        "maskd.tokens": MasKDConfig(tokens=2, aux_weight=0).prerequisites["tokens"]
    }
    built = config.build(pair(3))
    built.read({"maskd.tokens": {"tokens": torch.ones(2, 3)}})
    assert built.parts["maskd"].tokens.equal(torch.ones(2, 3))


def test_a_method_that_comes_later_changes_no_run_of_today() -> None:
    assert _combined(cwd=LOGITS, kd={}).identity()["terms"].keys() == {"kd", "cwd"}


@pytest.mark.parametrize("name", MGDConfig.PRESETS)
def test_mgd_as_published_is_mgd_beside_cwds_logits(name: str) -> None:
    """The one combination of two methods that a source holds."""
    generator = torch.Generator().manual_seed(0)
    shapes, maps = pair_of(5, 6, classes=3), []
    for channels in (5, 6):
        logits = torch.randn(2, 3, 8, 8, generator=generator)
        feature = torch.randn(2, channels, 8, 8, generator=generator)
        maps.append(Output(logits, None, {"encoder": feature}))
    found = []
    for method in (
        validate(CombinedConfig, {"method": "combined", "preset": f"mgd-cwd-{name}"}),
        MGDConfig(preset=name),
    ):
        torch.manual_seed(0)
        found.append(method.build(shapes)(*maps, NOTHING, STEP))
    joined, alone = found
    assert joined == {"mgd_fd": alone["fd"], "cwd_channel": alone["channel"]}


def test_a_preset_is_filled_in_key_by_key_of_each_method() -> None:
    name = "mgd-cwd-cityscapes-pspnet-resnet18"
    given = {"preset": name, "terms": {"mgd": {"fd_weight": 1e-4}, "kd": {}}}
    config = validate(CombinedConfig, {"method": "combined", **given})
    assert [part for part, _ in config.terms] == ["kd", "mgd", "cwd"]
    assert (config.terms.mgd.fd_weight, config.terms.mgd.kd_weight) == (1e-4, 0.0)
    assert validate(CombinedConfig, config.plain()) == config
    written = config.plain()
    assert "preset" not in written and validate(CombinedConfig, written).identity() == (
        config.identity()
    )
    with pytest.raises(UserError, match=f"preset: 'mgd' is not one of .*{name}"):
        validate(CombinedConfig, {"method": "combined", "preset": "mgd", "terms": {}})


def test_an_enqueued_preset_pins_what_is_searched_of_each_part(tmp_path: Path) -> None:
    preset = "preset: mgd-cwd-cityscapes-pspnet-resnet18"
    searched = (
        "terms: {mgd: {fd_weight: {log: [1e-6, 1e-3]}}, cwd: {logits_weight: {uniform: [0, 9]}}}"
    )
    file = tmp_path / "space.yaml"
    head = """data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher: {model: {head: pspnet, encoder: "timm:lcnet_050"}, train: {}}
"""
    queue = f"study: {{enqueue: [{{distiller: {{method: combined, {preset}}}}}]}}\n"
    file.write_text(f"{head}distiller: {{method: combined, {preset}, {searched}}}\n{queue}")
    space = read_space(str(file), [])
    (block,) = space.study.enqueue
    assert parameters_of(space.space, block, space.source, ()) == {
        "distiller.terms.mgd.fd_weight": 2e-5,
        "distiller.terms.cwd.logits_weight": 3.0,
    }
    file.write_text(f"{head}distiller: {{method: combined, {searched}}}\n{queue}")
    with pytest.raises(UserError, match=r"sets terms\.mgd\.\w+, which this space leaves out"):
        read_space(str(file), [])


def test_weights_of_terms_are_searched_like_everything(tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    text = """data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher: {model: {head: pspnet, encoder: "timm:lcnet_050"}, train: {}}
distiller:
  method: combined
  terms:
    cwd: {kd_weight: 0, feature_weight: 0, adversarial_weight: 0, logits_weight: {log: [0.5, 10]}}
    maskd: {aux_weight: 0, tokens: TOKENS}
"""
    file.write_text(text.replace("TOKENS", "4"))
    space = read_space(str(file), [])
    assert {e.distiller.terms.cwd.logits_weight for e in space.examples} == {0.5, 10.0}
    file.write_text(text.replace("TOKENS", "{int: [2, 8]}"))
    with pytest.raises(UserError, match=r"distiller\.terms\.maskd\.tokens: each value needs a run"):
        read_space(str(file), [])


def test_the_way_without_an_auxiliary_head_names_the_key_inside() -> None:
    method = _combined(maskd={"tokens": 2}, kd={})
    student = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)
    with pytest.raises(
        ValueError, match=r"reads aux of the student.*set terms\.maskd\.aux_weight to 0"
    ):
        _check_gives("student", student, 3, method.needs.student, method)
