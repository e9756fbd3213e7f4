"""Batches whose content is a function of (seed, iteration) alone.

Nothing needs saving to resume: iteration i is computed from i, whatever the number of ranks and of
loader processes. Axes: b images of this rank, h w the crop, H W the stored image.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from pydantic import NonNegativeInt, PositiveFloat, model_validator
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from afdcd import storage
from afdcd.config import FrozenConfig, UserError
from afdcd.data.catalog import DatasetName, Protocol
from afdcd.data.rows import Rows, open_split
from afdcd.data.synthetic import ensure_synthetic
from afdcd.data.transforms import Normalisation, augment, normalise, scale_steps
from afdcd.seeds import derive

Sample = tuple[Float32[Tensor, "3 h w"], UInt8[Tensor, "h w"]]


class DataConfig(FrozenConfig):
    """What a network is shown: which rows of which data set, and how they are augmented.

    Attributes:
        root: path or URI of the prepared data set; None renders the synthetic one.
        crop: (height, width) in pixels.
        scale: smallest and largest factor; drawn in steps of `scale_step`.
        loader_workers: processes that decode; 0 decodes in the training process.
    """

    dataset: DatasetName
    root: str | None = None
    protocol: Protocol = "dev"
    crop: tuple[int, int]
    scale: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    scale_step: PositiveFloat = 0.1
    flip: bool = True
    normalisation: Normalisation = "imagenet"
    loader_workers: NonNegativeInt = 0

    @property
    def location(self) -> str:
        """`root`, which is known once the data are prepared."""
        if self.root is None:
            raise ValueError("the data set is not prepared yet: data.root is None")
        return self.root

    @model_validator(mode="after")
    def _consistent(self) -> "DataConfig":
        if self.root is None and self.dataset != "synthetic":
            raise ValueError(
                f"data set {self.dataset!r} needs `root`, the folder or URI that "
                f"`python -m afdcd.prepare {self.dataset} --source RAW --out ROOT` wrote"
            )
        if min(self.crop) < 32:
            raise ValueError(
                f"crop {list(self.crop)} is too small; both sides must be >= 32 pixels"
            )
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale {list(self.scale)} must be [smallest, largest]")
        return self


def prepared_root(config: DataConfig, folder: str) -> str:
    """`config.root`; where that is None, the synthetic set in `folder`, rendered on first use."""
    if config.root is not None:
        return config.root
    root = storage.join(folder, "synthetic")
    ensure_synthetic(root)
    return root


def train_batches(
    config: DataConfig,
    root: str,
    *,
    seed: int,
    batch: int,
    rank: int,
    world: int,
    start: int,
    stop: int,
    pin: bool = False,
) -> Iterator[tuple[Float32[Tensor, "b 3 h w"], Int64[Tensor, "b h w"]]]:
    """This rank's slices of the global batches of iterations `start` to `stop` - 1.

    Args:
        pin: in page-locked memory, from which a GPU copies without holding up the host.

    Raises:
        UserError: `batch` (the global one) does not divide by `world`, or a row cannot be read.
    """
    if batch % world:
        raise UserError(f"batch {batch} does not divide by {world} workers; change one of them")
    rows = open_split(root, config.dataset, config.protocol, "train")
    share = batch // world
    positions = _Positions(start, stop, first=rank * share, share=share)
    loader = DataLoader(
        _Augmented(config, rows, seed, batch),
        batch_sampler=positions,
        num_workers=config.loader_workers,
        collate_fn=_collate,
        pin_memory=pin,
        # Starting a loader draws a number; from the global generator it would shift dropout.
        generator=torch.Generator(),
        # A forked process must not inherit the threads of an S3 client.
        multiprocessing_context="spawn" if config.loader_workers and "://" in root else None,
    )
    for loaded in loader:
        if isinstance(loaded, UserError):
            raise loaded
        yield loaded


def evaluation_images(
    config: DataConfig, root: str, role: str, rank: int = 0, world: int = 1
) -> Iterator[tuple[str, Float32[Tensor, "1 3 H W"], Int64[Tensor, "1 H W"]]]:
    """Key, image and label at native size; each row on exactly one rank, none repeated."""
    rows = open_split(root, config.dataset, config.protocol, role)
    for index in range(rank, len(rows), world):
        key, image, label = rows[index]
        pixels = normalise(image, config.normalisation)
        yield key, pixels[None], torch.from_numpy(label)[None].long()


class _Positions:
    """One list of (iteration, index in the global batch) per iteration."""

    def __init__(self, start: int, stop: int, *, first: int, share: int) -> None:
        self._iterations = range(start, stop)
        self._indices = range(first, first + share)

    def __len__(self) -> int:
        return len(self._iterations)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for iteration in self._iterations:
            yield [(iteration, index) for index in self._indices]


class _Augmented(Dataset[Sample | UserError]):
    def __init__(self, config: DataConfig, rows: Rows, seed: int, batch: int) -> None:
        self._config, self._rows, self._seed, self._batch = config, rows, seed, batch
        self._scales = scale_steps(config.scale, config.scale_step)

    def __getitem__(self, position: tuple[int, int]) -> Sample | UserError:
        iteration, index = position
        epoch, place = divmod(iteration * self._batch + index, len(self._rows))
        try:
            _, image, label = self._rows[int(_order(self._seed, epoch, len(self._rows))[place])]
        except UserError as error:
            return error  # raised in a loader process it would arrive as a traceback in a message
        return augment(
            image,
            label,
            np.random.default_rng(derive(self._seed, "augment", iteration, index)),
            crop=self._config.crop,
            scales=self._scales,
            flip=self._config.flip,
            normalisation=self._config.normalisation,
        )


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, rows: int) -> np.ndarray:
    return np.random.default_rng(derive(seed, "order", epoch)).permutation(rows)


def _collate(
    samples: list[Sample | UserError],
) -> tuple[Float32[Tensor, "b 3 h w"], Int64[Tensor, "b h w"]] | UserError:
    for sample in samples:
        if isinstance(sample, UserError):
            return sample
    images, labels = zip(*samples, strict=True)
    return torch.stack(images), torch.stack(labels).long()
