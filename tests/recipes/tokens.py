"""After MasKD (Huang et al. 2023, ICLR; hunto/MasKD@b5af34f). Copied to afdcd/distillers/tokens.py."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from afdcd.distillers.configs.tokens import MaskedConfig, TokensConfig
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.losses.grids import on_one_grid
from afdcd.models.outputs import Output

Terms = dict[str, Float[Tensor, ""]]


class Tokens(Distiller):
    """Learns from the teacher alone; its state is what `Masked` reads."""

    def __init__(self, config: TokensConfig, pair: PairShapes) -> None:
        super().__init__()
        self.tokens = nn.Parameter(0.1 * torch.randn(config.count, pair.classes))

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        seen = teacher.logits.float()
        masked = seen * _masks(self.tokens, seen).sum(1, keepdim=True)
        labels = F.interpolate(targets[:, None].float(), seen.shape[2:])[:, 0].long()
        found = F.cross_entropy(masked, labels, ignore_index=IGNORE, reduction="sum")
        return {"tokens": found / labels.numel()}


class Masked(Distiller):
    def __init__(self, config: MaskedConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("tokens", torch.zeros(config.tokens, pair.classes))

    def read(self, inputs: Mapping[str, Mapping[str, Tensor]]) -> None:
        if "tokens" in inputs:
            self.tokens.copy_(inputs["tokens"]["tokens"])

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> Terms:
        if not self.config.weight:
            return {}
        ours, theirs = on_one_grid(student.logits.float(), teacher.logits.float())
        masks = _masks(self.tokens, theirs)[:, :, None]
        error = (masks * (ours - theirs)[:, None]).square().mean()
        return {"masked": self.config.weight * error}


def _masks(tokens: Float[Tensor, "n k"], logits: Float[Tensor, "b k h w"]) -> Tensor:
    """b x n x h x w: how much each token sees in each pixel."""
    return torch.einsum("nk,bkhw->bnhw", tokens, logits).sigmoid()
