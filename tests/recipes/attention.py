"""Attention transfer: where a network looks, as the mean square over channels, of norm 1.

Copied to afdcd/distillers/attention.py. Source: Zagoruyko & Komodakis 2017, ICLR, sec. 3.1;
szagoruyko/attention-transfer@893df59 `utils.py`.
"""

import torch.nn.functional as F
from afdcd.distillers.configs.attention import AttentionConfig
from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.shapes import ENCODER
from afdcd.distillers.context import StepContext
from afdcd.losses.grids import on_one_grid
from afdcd.models.outputs import Output


class Attention(Distiller):
    def __init__(self, config: AttentionConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        if not self.config.weight:
            return {}
        ours, theirs = on_one_grid(student.features[ENCODER], teacher.features[ENCODER])
        difference = _attention(ours) - _attention(theirs)
        return {"attention": self.config.weight * difference.square().mean()}


def _attention(feature: Float[Tensor, "b c h w"]) -> Float[Tensor, "b hw"]:
    return F.normalize(feature.float().square().mean(1).flatten(1), dim=1)
