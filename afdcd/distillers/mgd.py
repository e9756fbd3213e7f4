"""MGD: the teacher's last stage rebuilt from a masked student's, and the logits channel by channel.

Source: Yang et al. 2022, ECCV, arXiv:2205.01529, sec. 3; yzd-v/MGD@2c9da0b
`mmseg/distillation/losses/mgd.py` and `cwd.py`, whose numbers tests/distillers/test_mgd.py holds this to.
"""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.base import Targets
from afdcd.distillers.configs.mgd import MGDConfig
from afdcd.distillers.configs.shapes import PairShapes
from afdcd.distillers.context import StepContext
from afdcd.distillers.masked import MaskedMethod
from afdcd.losses.channel_kl import channel_kl
from afdcd.losses.grids import on_one_grid
from afdcd.models.outputs import Output


class MGD(MaskedMethod):
    config: MGDConfig

    def __init__(self, config: MGDConfig, pair: PairShapes) -> None:
        super().__init__(config, pair)
        self.clips = config.clip_adapters

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        terms = super().forward(student, teacher, targets, step)
        if not self.config.logits_weight:
            return terms
        logits = on_one_grid(student.logits, teacher.logits)
        value = channel_kl(*logits, self.config.channel_temperature)
        return {**terms, "channel": self.config.logits_weight * value}
