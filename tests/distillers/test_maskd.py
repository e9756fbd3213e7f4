"""MasKD: both stages agree with the official code."""

import pytest
import torch

from afdcd.config import UserError
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.distillers.configs import MasKDConfig
from afdcd.distillers.configs.maskd import MasKDTokensConfig
from afdcd.models.config import ModelConfig
from afdcd.training.shapes import check_shapes
from tests import golden
from tests.distillers.pairs import STEP
from tests.distillers.rivals import CLOSE, agrees, output, pair
from tests.examples import trial

NOTHING = torch.zeros(1, 8, 8, dtype=torch.int64)


def test_tokens_learn_as_the_official_ones() -> None:
    """Losses, gradients and tokens of three steps of the published recipe."""
    kept = golden.rivals("maskd_stage1")
    config = MasKDConfig().prerequisites["tokens"]
    distiller = config.method.build(pair(5)).double()
    distiller.load_state_dict({"tokens": kept["tokens"]})
    recipe = config.training
    decay = recipe["weight_decay"]
    optimizer = torch.optim.SGD(distiller.parameters(), recipe["lr"], 0.9, weight_decay=decay)
    teacher = output(kept["logits"])
    labels = torch.where(kept["label"] < 0, IGNORE, kept["label"])
    for number in (1, 2, 3):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 - (number - 1) / recipe["iterations"]) ** 0.9
        terms = distiller(teacher, teacher, labels, STEP)
        now = f"step{number}/"
        torch.testing.assert_close(terms["masked"], kept[f"{now}ce_main"], **CLOSE)
        torch.testing.assert_close(terms["diversity"], kept[f"{now}dice"], **CLOSE)
        optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.testing.assert_close(distiller.tokens.grad, kept[f"{now}grad_tokens"], **CLOSE)
        optimizer.step()
        torch.testing.assert_close(distiller.tokens, kept[f"{now}tokens_after"], **CLOSE)


@pytest.mark.parametrize("case", ["maskd_stage2", "maskd_stage2_tiny_masks"])
def test_the_student_follows_as_the_official_one(case: str) -> None:
    kept = golden.rivals(case)
    tokens, classes = kept["tokens"].shape
    distiller = MasKDConfig(tokens=tokens).build(pair(classes)).double()
    distiller.read({"tokens": {"tokens": kept["tokens"]}})
    logits, aux = kept["S_logits"].requires_grad_(), kept["S_aux"].requires_grad_()
    teacher = output(kept["T_logits"], aux=kept["T_aux"])
    terms = distiller(output(logits, aux=aux), teacher, NOTHING, STEP)
    torch.testing.assert_close(terms["masked"], kept["loss_main"], **CLOSE)
    torch.testing.assert_close(terms["masked_aux"], 0.4 * kept["loss_aux"], **CLOSE)
    inputs = {"grad_S_logits": logits, "grad_S_aux": aux}
    agrees(sum(terms.values()), inputs, case, "total")


def test_tokens_are_kept_and_do_not_learn_in_the_second_stage() -> None:
    distiller = MasKDConfig().build(pair(5))
    assert not list(distiller.parameters())
    assert distiller.state_dict()["tokens"].shape == (8, 5)


def test_other_tokens_are_a_run_of_their_own_and_other_weights_are_not() -> None:
    def tokens(**settings: float) -> object:
        return MasKDConfig(**settings).prerequisites["tokens"]

    assert tokens(weight=2) == tokens(aux_weight=0) == tokens()
    assert tokens(tokens=4) != tokens()
    assert tokens(token_iterations=10) != tokens()
    assert MasKDConfig(weight=0, aux_weight=0).prerequisites == {}
    assert MasKDTokensConfig.PREPARES


def test_tokens_belong_to_the_weights_of_their_teacher() -> None:
    """Another teacher's are another run, so none can be taken for this one's."""
    (tokens,) = trial(distiller={"method": "maskd"}).prerequisite_trials().values()
    assert tokens.fingerprint("data", teacher="a" * 64) != tokens.fingerprint(
        "data", teacher="b" * 64
    )
    assert tokens.fingerprint("data", teacher="a" * 64) == tokens.fingerprint(
        "data", teacher="a" * 64
    )


def test_a_student_without_an_auxiliary_head_is_told_the_remedy() -> None:
    student = ModelConfig(head="deeplabv3", encoder="mobilenetv2")
    config = trial(pair__student=student.plain(), distiller={"method": "maskd"})
    with pytest.raises((ValueError, UserError), match=r"reads aux of the student.*aux_weight"):
        check_shapes(config, 5)
    check_shapes(config.updated(distiller=MasKDConfig(aux_weight=0)), 5)
