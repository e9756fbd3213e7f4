"""What differs between segmentation and any other task, and all of it.

A task has no state: what it needs of the data set it reads off the run's `DataConfig`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from afdcd.data.catalog.splits import Role
from afdcd.data.train.config import DataConfig
from afdcd.distillers.base import Targets
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.models.weights import NetworkCard
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.asked import Asked, Examined, Shown
from afdcd.tasks.options import InferenceConfig
from afdcd.tasks.pictures import Picture
from afdcd.tasks.score import Measure, Score
from afdcd.text import percent


@dataclass(frozen=True)
class Tally:
    """What was counted over some images; of disjoint images `sums` add up.

    Attributes:
        score: of what `sums` hold when it is called.
    """

    sums: Tensor
    score: Callable[[], Score]


class Task:
    """One task. Nothing outside of tasks/, models/ and data/ knows which one runs.

    Attributes:
        name: as `task` in a search space spells it.
        measure: of the score that `evaluate` gives.
        semantics: to be raised by a change after which the same settings train another network; it is
            part of every run's identity.
        draws: endings of the files that `predict` writes of each picture; empty where it writes none.
    """

    name: str
    measure: Measure
    semantics: int = 1
    draws: tuple[str, ...] = ()

    def outputs(self, data: DataConfig) -> int:
        """Channels of the network's last layer."""
        raise NotImplementedError

    def batches(
        self,
        data: DataConfig,
        device: torch.device,
        *,
        seed: int,
        batch: int,
        rank: int,
        world: int,
        iterations: range,
        unlabelled_share: float | None = None,
    ) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Targets]]:
        """This rank's share of each iteration's batch, on the device.

        Args:
            unlabelled_share: of the images that have no targets; None: as many as there are.

        Raises:
            UserError: a row cannot be read.
        """
        raise NotImplementedError

    def made_up(self, data: DataConfig, images: int, device: torch.device) -> Targets:
        """Targets of so many crops without sense, to time a step with."""
        raise NotImplementedError

    def part(self, targets: Targets, part: int, parts: int) -> Targets:
        """Of every `parts`-th image from `part` on."""
        return targets[part::parts]

    def count(self, targets: Targets) -> Float[Tensor, ""]:
        """What the terms of these images are divided by, once it is added up over ranks."""
        raise NotImplementedError

    def terms(
        self, output: Output, targets: Targets, count: Float[Tensor, ""], *, aux_weight: float
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss terms without distillation: sums over this rank's images divided by `count`."""
        raise NotImplementedError

    def images(
        self,
        data: DataConfig,
        role: Role,
        device: torch.device,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[Shown]:
        """The images of a split, each on exactly one rank, one at a time and whole."""
        raise NotImplementedError

    def evaluate(
        self,
        network: nn.Module,
        images: Iterable[Shown],
        data: DataConfig,
        device: torch.device,
        *,
        autocast: torch.dtype | None = None,
        channels_last: bool = False,
    ) -> Tally:
        """What a network makes of images; it is left in the mode it came in."""
        raise NotImplementedError

    def examine(
        self,
        network: SegmentationNetwork,
        card: NetworkCard,
        images: Iterable[Shown],
        asked: Asked,
    ) -> Examined:
        """A finished network judged on a split, as `afdcd evaluate` prints it.

        Raises:
            UserError: network and data do not fit, or this task has no such option.
        """
        asked.check_plain(self.name)
        score = self.evaluate(network, images, asked.data, asked.device).score()
        values = {score.name: score.finite, **score.parts}
        return Examined(values, "\n".join(f"{name}  {percent(v)}" for name, v in values.items()))

    def draw(
        self,
        network: SegmentationNetwork,
        card: NetworkCard,
        image: Picture,
        device: torch.device,
        inference: InferenceConfig,
        alpha: float,
    ) -> Sequence[Image.Image]:
        """What a network says of a picture, one for each of `draws`.

        Args:
            alpha: 0..1, how much a tint hides of the picture below it.
        """
        raise NotImplementedError

    def blank_card(self, model: ModelConfig, data: DataConfig) -> NetworkCard:
        """What is known of a network for these data before it is trained."""
        raise NotImplementedError

    def card(
        self, network: SegmentationNetwork, data: DataConfig, score: Score, fingerprint: str
    ) -> NetworkCard:
        """What the file of a finished network says of it."""
        raise NotImplementedError

    def recorded(self, card: NetworkCard) -> Score | None:
        """The score that a card says, on its `split`."""
        raise NotImplementedError

    def panel(
        self,
        data: DataConfig,
        teacher: SegmentationNetwork | None,
        student: nn.Module,
        device: torch.device,
    ) -> Image.Image:
        """Some images of the validation split: what is right, what the teacher and the student say."""
        raise NotImplementedError
