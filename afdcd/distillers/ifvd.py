"""IFVD: logits KD, how alike each pixel is to the mean of its class, and SKD's discriminator.

Source: Wang et al. 2020, ECCV, arXiv:2009.13169, sec. 3; winycg/CIRKD@2d8ad0f `losses/ifvd.py`, whose
numbers tests/distillers/test_ifvd.py holds this to.
"""

from jaxtyping import Float
from torch import Tensor

from afdcd.distillers.adversarial import AdversarialMethod
from afdcd.distillers.base import Targets
from afdcd.distillers.configs.ifvd import IFVDConfig
from afdcd.distillers.configs.shapes import HEAD
from afdcd.losses.grids import on_one_grid
from afdcd.losses.labels import labels_on_grid
from afdcd.losses.variation import class_likeness
from afdcd.models.outputs import Output


class IFVD(AdversarialMethod):
    config: IFVDConfig

    def own_terms(
        self, student: Output, teacher: Output, targets: Targets
    ) -> dict[str, Float[Tensor, ""]]:
        if not self.config.ifv_weight:
            return {}
        maps = on_one_grid(student.features[HEAD], teacher.features[HEAD])
        labels = labels_on_grid(targets, maps[0].shape[2:], self.classes)
        official = self.config.official
        ours, theirs = (class_likeness(x, labels, self.classes, official=official) for x in maps)
        return {"ifv": self.config.ifv_weight * (ours - theirs).square().mean()}
