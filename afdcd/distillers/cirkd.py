"""CIRKD: what pixels are like among those of other images, in the batch and remembered; logits KD.

Source: Yang et al. 2022, CVPR, arXiv:2204.06986, sec. 3; winycg/CIRKD@2d8ad0f `losses/`, whose numbers
tests/distillers/test_cirkd.py holds this to. Differs in that groups, draws and divisors do not depend
on the number of workers, all of which remember the same; in that a batch without labels gives 0, not
nan; and, unless `official`, in what the pixel queue holds.
"""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.distillers.base import Distiller, Targets
from afdcd.distillers.configs.cirkd import CIRKDConfig
from afdcd.distillers.configs.shapes import HEAD, PairShapes
from afdcd.distillers.context import StepContext
from afdcd.distillers.kd import logits_kd
from afdcd.distillers.memory import PER_IMAGE, Keys, Ring, keys_of
from afdcd.distillers.ranks import GlobalBatchNorm2d
from afdcd.losses.affinity import affinity_kl, among_images
from afdcd.losses.grids import on_one_grid
from afdcd.losses.labels import labels_on_grid
from afdcd.losses.precision import no_autocast
from afdcd.losses.units import unit
from afdcd.models.outputs import Output

Map = Float[Tensor, "b _ h w"]


class CIRKD(Distiller):
    def __init__(self, config: CIRKDConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config, self.clips = config, config.clip_adapters
        self.memory = Memory(config, pair) if config.remembers else None

    def forward(
        self, student: Output, teacher: Output, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        config = self.config
        terms = logits_kd(student, teacher, config.kd_weight, config.temperature)
        if not config.couples_images:
            return terms
        maps = on_one_grid(student.features[HEAD], teacher.features[HEAD])
        with no_autocast(maps[0]):
            if config.minibatch_weight:
                terms["minibatch"] = config.minibatch_weight * self._minibatch(*maps, step)
            if self.memory is not None:
                terms |= self.memory(*maps, targets, step)
        return terms

    def _minibatch(self, student: Map, teacher: Map, step: StepContext) -> Float[Tensor, ""]:
        """Every image of a group with each of the group, itself among them."""
        ours, theirs = (unit(self._pooled(x)).flatten(2) for x in (student, teacher))
        images, first = len(student), 0
        if images % self.config.group and step.world > 1:
            ours, theirs, first = step.gather(ours), step.gather(theirs), step.rank * images
        pairs = [
            (i, j, 1 / (images * len(group)))
            for i in range(first, first + images)
            for group in [self._group(i, len(ours))]
            for j in group
        ]
        return among_images(ours, theirs, pairs, self.config.tau)

    def _group(self, image: int, images: int) -> range:
        start = image - image % self.config.group
        return range(start, min(images, start + self.config.group))

    def _pooled(self, x: Map) -> Float[Tensor, "b _ y x"]:
        return F.avg_pool2d(x, 2, ceil_mode=True) if self.config.pool == 2 else x


class Memory(nn.Module):
    """The two terms with what is remembered, and the head through which the student is compared."""

    def __init__(self, config: CIRKDConfig, pair: PairShapes) -> None:
        super().__init__()
        self.config, self.classes = config, pair.classes
        ours, theirs = pair.channels(HEAD)
        self.head = nn.Sequential(
            nn.Conv2d(ours, theirs, 1, bias=False),
            GlobalBatchNorm2d(theirs),
            nn.ReLU(),
            nn.Conv2d(theirs, theirs, 1, bias=False),
        )
        self.pixels = Ring(pair.classes, config.pixel_memory, theirs)
        self.regions = Ring(pair.classes, config.region_memory, theirs)

    def forward(
        self, student: Map, teacher: Map, targets: Targets, step: StepContext
    ) -> dict[str, Float[Tensor, ""]]:
        kind = self.pixels.vectors.dtype
        labels = labels_on_grid(targets, student.shape[2:], self.classes).flatten(1)
        ours = unit(self.head(student.to(kind))).flatten(2)
        theirs = unit(teacher.to(kind)).flatten(2)
        self._remember(theirs, labels, step)
        labelled = (labels >= 0).to(kind)
        count = step.total(labelled.sum()) / step.world
        weights = (labelled / count.clamp(min=1 / step.world)).flatten()
        rows = [x.mT.flatten(0, 1) for x in (ours, theirs)]
        terms = {}
        for name, ring, weight, contrast in (
            ("pixel", self.pixels, self.config.pixel_weight, self.config.pixel_contrast),
            ("region", self.regions, self.config.region_weight, self.config.region_contrast),
        ):
            if weight:
                beside = self._beside(name, ring, contrast, step)
                terms[name] = weight * self._term(rows, beside, weights)
        return terms

    def _term(self, rows: list[Tensor], beside: Tensor, weights: Tensor) -> Float[Tensor, ""]:
        softened = self.config.memory_temperature
        (ours, theirs), temperature = rows, self.config.tau * softened
        value = affinity_kl((ours, beside), (theirs, beside), weights, temperature)
        return softened**2 * value

    def _beside(self, name: str, ring: Ring, contrast: int, step: StepContext) -> Tensor:
        """The slots are drawn once for all classes."""
        slots = ring.vectors.shape[1]
        drawn = step.permutation(f"cirkd {name} slots", slots, ring.vectors.device)
        return ring.chosen(drawn[: contrast // self.classes + 1])

    def _remember(self, teacher: Tensor, labels: Tensor, step: StepContext) -> None:
        """What the images of all ranks add, in their order."""
        official, most = self.config.official, min(PER_IMAGE, self.config.pixel_memory)
        drawn = step.uniform(
            "cirkd keys",
            (len(labels), self.classes if official else 1, labels.shape[1]),
            labels.device,
        )
        keys = keys_of(teacher, labels, self.classes, drawn, most, official=official)
        everyone = Keys(*(step.gather(of) for of in keys))
        for pixels, counts, means in zip(*everyone, strict=True):
            self.pixels.add(pixels, counts, official=official)
            self.regions.add(means[:, None], counts.clamp(max=1), official=official)
