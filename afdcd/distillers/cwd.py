"""CWD: each channel as a distribution over the map, of features and of logits; KD; SKD's discriminator.

Source: Shu et al. 2021, ICCV, arXiv:2011.13256, sec. 3; winycg/CIRKD@2d8ad0f `losses/cwd.py`, whose
numbers tests/distillers/test_cwd.py holds this to.
"""

from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.adversarial import AdversarialMethod
from afdcd.distillers.base import Targets
from afdcd.distillers.configs.cwd import CWDConfig
from afdcd.distillers.configs.shapes import HEAD, PairShapes
from afdcd.losses.channel_kl import channel_kl
from afdcd.losses.grids import on_one_grid
from afdcd.models.outputs import Output


class CWD(AdversarialMethod):
    config: CWDConfig

    def __init__(self, config: CWDConfig, pair: PairShapes) -> None:
        super().__init__(config, pair)
        self.clips = config.clip_adapters
        self.align: nn.Module = nn.Identity()
        if config.feature_weight and (widths := pair.channels(HEAD))[0] != widths[1]:
            self.align = nn.Conv2d(*widths, kernel_size=1, bias=False)

    def own_terms(
        self, student: Output, teacher: Output, targets: Targets
    ) -> dict[str, Float[Tensor, ""]]:
        config, terms = self.config, {}
        if config.feature_weight:
            terms["feature"] = config.feature_weight * self._feature(student, teacher)
        if config.logits_weight:
            logits = on_one_grid(student.logits, teacher.logits)
            value = channel_kl(*logits, config.channel_temperature)
            terms["channel"] = config.logits_weight * value
        return terms

    def _feature(self, student: Output, teacher: Output) -> Float[Tensor, ""]:
        ours, theirs = on_one_grid(student.features[HEAD], teacher.features[HEAD])
        value = channel_kl(self.align(ours), theirs, self.config.channel_temperature)
        return value * theirs.shape[1] / ours.shape[1] if self.config.official else value
