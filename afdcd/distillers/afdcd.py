"""Af-DCD: logits KD, masked reconstruction, and contrast of what was rebuilt with the teacher.

Source: Fan et al. 2023, NeurIPS, sec. 3; OSVAI/Af-DCD@5b086a7 `losses/ocmgd.py`, whose numbers
tests/distillers/test_afdcd.py holds this to.
"""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.configs.afdcd import AfDCDConfig
from afdcd.distillers.masked import MaskedMethod
from afdcd.losses.contrast import omni_contrast, shrink


class AfDCD(MaskedMethod):
    config: AfDCDConfig

    def further_terms(
        self, rebuilt: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]
    ) -> dict[str, Float[Tensor, ""]]:
        config = self.config
        if not config.contrast_weight:
            return {}
        return {"contrast": config.contrast_weight * self._contrast(rebuilt, target)}

    def _contrast(
        self, rebuilt: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, ""]:
        config, patch = self.config, self.config.patch_of(*target.shape[2:])
        portable = config.weights == "portable"
        units = config.contrast_units(*target.shape[1:]) if portable else (1, 1)
        value = omni_contrast(
            shrink(rebuilt, config.pool, patch),
            shrink(target, config.pool, patch),
            groups=config.effective_groups,
            patch=patch,
            temperature=config.tau * units[0],
            negatives=config.effective_negatives,
        )
        return value / units[1]
