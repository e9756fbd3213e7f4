"""SKD: logits KD, pair-wise likeness of places, and a discriminator.

Source: Liu et al. 2019, CVPR, arXiv:1903.04197, sec. 3; winycg/CIRKD@2d8ad0f `losses/skd.py` and
`losses/adv.py`, whose numbers tests/distillers/test_skd.py holds this to.
"""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.adversarial import AdversarialMethod
from afdcd.distillers.base import Targets
from afdcd.distillers.configs.shapes import HEAD
from afdcd.distillers.configs.skd import SKDConfig
from afdcd.losses.grids import on_one_grid
from afdcd.losses.pairwise import pair_wise, pair_wise_halves
from afdcd.models.outputs import Output


class SKD(AdversarialMethod):
    config: SKDConfig

    def own_terms(
        self, student: Output, teacher: Output, targets: Targets
    ) -> dict[str, Float[Tensor, ""]]:
        if not self.config.pair_weight:
            return {}
        maps = on_one_grid(student.features[HEAD], teacher.features[HEAD])
        compared = pair_wise if self.config.pair == "places" else pair_wise_halves
        return {"pair": self.config.pair_weight * compared(*maps)}
