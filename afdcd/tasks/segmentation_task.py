"""Semantic segmentation, as the rest of the program knows it."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor, nn

from afdcd.data.catalog.splits import Role
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.described import dataset_at
from afdcd.data.shards.rows import open_split
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import evaluation_images, train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.data.train.transforms import normalise
from afdcd.models.complexity import gmacs, parameters
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.models.weights import NetworkCard
from afdcd.models.zoo import SegmentationNetwork
from afdcd.tasks.asked import Asked, Examined, Shown
from afdcd.tasks.base import Tally, Task
from afdcd.tasks.examined import examine
from afdcd.tasks.inference import predict_labels
from afdcd.tasks.names import SEGMENTATION as NAME
from afdcd.tasks.normalisation import for_network, known
from afdcd.tasks.options import InferenceConfig
from afdcd.tasks.pictures import PanelRow, Picture, denormalise, mask, overlay, panel
from afdcd.tasks.score import DEFAULT_MEASURE, Score
from afdcd.tasks.scores import recorded, score_of
from afdcd.tasks.segmentation import evaluate, task_terms

PANEL_ROWS = 4


class Segmentation(Task):
    """Targets are label maps [b H W] of train ids or IGNORE."""

    name, measure, draws = NAME, DEFAULT_MEASURE, (".png", "_overlay.jpg")

    def outputs(self, data: DataConfig) -> int:
        return len(dataset_at(data.root, data.dataset).classes)

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
    ) -> Iterator[tuple[Float[Tensor, "b 3 h w"], Int[Tensor, "b h w"]]]:
        batches = train_batches(
            data,
            data.location,
            seed=seed,
            batch=batch,
            rank=rank,
            world=world,
            start=iterations.start,
            stop=iterations.stop,
            unlabelled_share=unlabelled_share,
            pin=device.type == "cuda",
        )
        return prefetch(batches, device, data.normalisation)

    def made_up(self, data: DataConfig, images: int, device: torch.device) -> Int[Tensor, "b h w"]:
        return torch.randint(self.outputs(data), (images, *data.crop), device=device)

    def count(self, targets: Int[Tensor, "b H W"]) -> Float[Tensor, ""]:
        return (targets != IGNORE).sum().float()

    def terms(
        self,
        output: Output,
        targets: Int[Tensor, "b H W"],
        count: Float[Tensor, ""],
        *,
        aux_weight: float,
    ) -> dict[str, Float[Tensor, ""]]:
        return task_terms(output, targets, count, aux_weight=aux_weight)

    def images(
        self,
        data: DataConfig,
        role: Role,
        device: torch.device,
        *,
        rank: int = 0,
        world: int = 1,
    ) -> Iterator[Shown]:
        return evaluation_images(data, data.location, role, rank, world, device)

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
        dataset = dataset_at(data.root, data.dataset)
        matrix = evaluate(
            network,
            images,
            len(dataset.classes),
            device,
            absent=dataset.absent,
            autocast=autocast,
            channels_last=channels_last,
        )
        return Tally(matrix.counts, lambda: score_of(matrix, dataset.classes))

    def examine(
        self,
        network: SegmentationNetwork,
        card: NetworkCard,
        images: Iterable[Shown],
        asked: Asked,
    ) -> Examined:
        return examine(network, card, images, asked)

    def draw(
        self,
        network: SegmentationNetwork,
        card: NetworkCard,
        image: Picture,
        device: torch.device,
        inference: InferenceConfig,
        alpha: float,
    ) -> Sequence[Image.Image]:
        """The label map in the classes' colours, and the picture tinted with them."""
        pixels = normalise(image, known(card.normalisation, card.model.name))[None].to(device)
        with torch.inference_mode():
            labels = predict_labels(network, pixels, image.shape[:2], inference)[0].cpu().numpy()
        return mask(labels, card.palette), overlay(image, labels, card.palette, alpha)

    def blank_card(self, model: ModelConfig, data: DataConfig) -> NetworkCard:
        dataset = dataset_at(data.root, data.dataset)
        return NetworkCard(
            model=model.updated(pretrained=None),
            dataset=dataset.name,
            classes=dataset.classes,
            palette=dataset.palette,
            normalisation=data.normalisation,
        )

    def card(
        self, network: SegmentationNetwork, data: DataConfig, score: Score, fingerprint: str
    ) -> NetworkCard:
        return self.blank_card(network.config, data).updated(
            miou=score.finite,
            split=f"{data.protocol}/val",
            parameters=parameters(network),
            gmacs=gmacs(network, *data.crop),
            fingerprint=fingerprint,
        )

    def recorded(self, card: NetworkCard) -> Score | None:
        return recorded(card)

    def panel(
        self,
        data: DataConfig,
        teacher: SegmentationNetwork | None,
        student: nn.Module,
        device: torch.device,
    ) -> Image.Image:
        """Rows of image, ground truth, teacher and student, spread over the validation split."""
        dataset = dataset_at(data.root, data.dataset)
        rows = list(_rows(data, teacher, student, device))
        return panel(rows, dataset.palette, dataset.classes)


def _rows(
    data: DataConfig,
    teacher: SegmentationNetwork | None,
    student: nn.Module,
    device: torch.device,
) -> Iterator[PanelRow]:
    count = len(open_split(data.location, data.dataset, data.protocol, "val"))
    few = data.updated(loader_workers=0)  # starting processes takes longer than these pictures
    spread = evaluation_images(few, data.location, "val", world=max(1, count // PANEL_ROWS))
    before = None if teacher is None else for_network(teacher, data.normalisation)
    for _, image, truth in islice(spread, PANEL_ROWS):
        picture, image = denormalise(image[0], data.normalisation), image.to(device)
        taught = None if teacher is None else _labels(teacher, before(image) if before else image)
        yield picture, truth[0].numpy(), taught, _labels(student, image)


def _labels(network: nn.Module, image: torch.Tensor) -> np.ndarray:
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        labels = predict_labels(network, image, (image.shape[-2], image.shape[-1]))
    network.train(was_training)
    return labels[0].cpu().numpy()


SEGMENTATION = Segmentation()
