"""A second task, as another package would bring it: how bright each pixel is, 0..1, nan where padded.

Here it stands for all that is not segmentation: targets that are no classes, a score that is better the
lower it is, a card without colours. Nothing of afdcd knows of it but by its entry point.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import evaluation_images, train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.data.train.transforms import normalise
from afdcd.models.complexity import gmacs, parameters
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard
from afdcd.tasks.asked import Shown
from afdcd.tasks.base import Tally, Task
from afdcd.tasks.pictures import denormalise
from afdcd.tasks.score import Measure, Score

IGNORE = 255  # of the label maps, which say no more here than where the picture ends
RMSE = Measure(name="rmse", higher_is_better=False)


class Brightness(Task):
    name, measure, draws = "brightness", RMSE, ("_brightness.png",)

    def outputs(self, data: DataConfig) -> int:
        return 1

    def batches(
        self, data: DataConfig, device: torch.device, *, iterations: range, **of_run: Any
    ) -> Iterator[tuple[Tensor, Tensor]]:
        ends = {"start": iterations.start, "stop": iterations.stop}
        batches = train_batches(data, data.location, **of_run, **ends)
        for images, labels in prefetch(batches, device, data.normalisation):
            yield images, _bright(images, labels, data)

    def made_up(self, data: DataConfig, images: int, device: torch.device) -> Tensor:
        return torch.rand((images, *data.crop), device=device)

    def count(self, targets: Tensor) -> Tensor:
        return targets.isfinite().sum().float()

    def terms(
        self, output: Any, targets: Tensor, count: Tensor, *, aux_weight: float
    ) -> dict[str, Tensor]:
        terms = {"task": _error(output.logits, targets) / count}
        if output.aux is not None:
            terms["aux"] = aux_weight * _error(output.aux, targets) / count
        return terms

    def images(
        self, data: DataConfig, role: str, device: torch.device, *, rank: int = 0, world: int = 1
    ) -> Iterator[Shown]:
        for key, image, label in evaluation_images(data, data.location, role, rank, world, device):
            yield key, image, _bright(image, label.to(device), data)

    def evaluate(
        self, network: nn.Module, images: Iterable[Shown], data: Any, device: Any, **_: Any
    ) -> Tally:
        sums, was_training = torch.zeros(2, dtype=torch.float64), network.training
        network.eval()
        with torch.inference_mode():
            for _key, image, target in images:
                error = _error(network(image).logits, target)
                sums += torch.tensor([error.item(), self.count(target).item()])
        network.train(was_training)
        return Tally(sums, lambda: RMSE.score(float((sums[0] / sums[1]).sqrt())))

    def draw(
        self, network: Any, card: NetworkCard, image: Any, device: Any, *_: Any
    ) -> tuple[Image.Image]:
        pixels = normalise(image, card.normalisation)[None].to(device)
        with torch.inference_mode():
            bright = F.interpolate(network(pixels).logits.float(), image.shape[:2], mode="bilinear")
        return (Image.fromarray((bright[0, 0].clamp(0, 1) * 255).byte().cpu().numpy()),)

    def blank_card(self, model: ModelConfig, data: DataConfig) -> NetworkCard:
        return NetworkCard(
            model=model.updated(pretrained=None),
            task=self.name,
            dataset=data.dataset,
            classes=("brightness",),
            palette=((255, 255, 255),),
            normalisation=data.normalisation,
        )

    def card(self, network: Any, data: DataConfig, score: Score, fingerprint: str) -> NetworkCard:
        return self.blank_card(network.config, data).updated(
            split=f"{data.protocol}/val",
            parameters=parameters(network),
            gmacs=gmacs(network, *data.crop),
            fingerprint=fingerprint,
        )

    def recorded(self, card: NetworkCard) -> Score | None:
        return None

    def panel(self, data: DataConfig, teacher: Any, student: Any, device: Any) -> Image.Image:
        shown = islice(self.images(data, "val", device), 2)
        rows = [denormalise(image[0], data.normalisation) for _, image, _ in shown]
        return Image.fromarray(rows[0])


def _bright(images: Tensor, labels: Tensor, data: DataConfig) -> Tensor:
    """Of normalised images: a weighted sum of channels that is a brightness up to scale."""
    value = torch.sigmoid(images.mean(1))
    return value.masked_fill(labels == IGNORE, torch.nan)


def _error(predicted: Tensor, targets: Tensor) -> Tensor:
    """Sum of squares over pixels that count."""
    full = F.interpolate(predicted.float(), targets.shape[1:], mode="bilinear")[:, 0]
    return torch.where(targets.isnan(), 0.0, full - targets.nan_to_num()).square().sum()


BRIGHTNESS = Brightness()
