"""Methods that are joined: the terms of each, their weights searched, and what does not go together."""

from pathlib import Path

import pytest
import torch

from afdcd.config import UserError, validate
from afdcd.distillers.configs import CombinedConfig, CWDConfig, MasKDConfig
from afdcd.models.config import ModelConfig
from afdcd.search.load import read_space
from afdcd.training.shapes import _check_gives
from tests.distillers.pairs import STEP
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
