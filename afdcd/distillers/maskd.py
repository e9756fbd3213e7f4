"""MasKD: tokens learn where the teacher's logits matter; the student follows them there.

Source: Huang et al. 2023, ICLR, arXiv:2205.14589, sec. 3; hunto/MasKD@b5af34f `segmentation/`, whose
numbers tests/distillers/test_maskd.py holds this to. Differs in that the teacher keeps its running
statistics while tokens are learnt (there it is in training mode), and in that tokens belong to their
teacher: they are found by its weights, not by the name of a file.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.maskd import MasKDConfig, MasKDTokensConfig
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.losses.cross_entropy import upsampled_cross_entropy
from afdcd.losses.grids import on_one_grid
from afdcd.losses.precision import at_least_fp32, no_autocast
from afdcd.losses.receptive import dice, masked_error, masks
from afdcd.models.outputs import Output

Terms = dict[str, Float[Tensor, ""]]
START = 0.01  # standard deviation of tokens before they learn


class MasKDTokens(Distiller):
    """Learns from the teacher alone; its state is what `MasKD` reads."""

    def __init__(self, config: MasKDTokensConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Parameter(START * torch.randn(config.count, pair.classes))

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        with no_autocast(teacher.logits):
            logits = at_least_fp32(teacher.logits)
            seen = masks(self.tokens, logits)
            kept = logits * seen.sum(1).view(len(logits), 1, *logits.shape[2:])
            labelled = step.total((targets != IGNORE).sum()) / step.world
            rule = {"align_corners": teacher.align_corners}
            entropy = upsampled_cross_entropy(kept, targets, IGNORE, **rule)
            return {
                "masked": entropy / labelled.clamp(min=1 / step.world),
                "diversity": self.config.diversity_weight * dice(seen),
            }


class MasKD(Distiller):
    """Reads tokens of its teacher; until then its masks see everything alike."""

    def __init__(self, config: MasKDConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        self.tokens: Tensor
        if config.weight or config.aux_weight:
            self.register_buffer("tokens", torch.zeros(config.tokens, pair.classes))

    def read(self, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        if "tokens" in inputs:
            self.tokens.copy_(inputs["tokens"]["tokens"])

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        terms = {}
        for name, weight, ours, theirs in (
            ("masked", self.config.weight, student.logits, teacher.logits),
            ("masked_aux", self.config.aux_weight, student.aux, teacher.aux),
        ):
            if weight and ours is not None and theirs is not None:
                terms[name] = weight * self._term(ours, theirs)
        return terms

    def _term(self, student: Tensor, teacher: Tensor) -> Float[Tensor, ""]:
        """Masks of the teacher's own logits of that head."""
        with no_autocast(student):
            maps = on_one_grid(*(x.to(self.tokens.dtype) for x in (student, teacher)))
            return masked_error(*maps, masks(self.tokens, maps[1]))
