"""Batches whose content is a function of (seed, iteration) alone.

Nothing needs saving to resume: iteration i is computed from i, whatever the number of ranks and of
loader processes. Axes: b images of this rank, h w the crop, H W the stored image.
"""

import signal
import threading
from collections.abc import Iterator
from functools import lru_cache
from multiprocessing import get_context
from multiprocessing.context import BaseContext

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import NonNegativeInt, PositiveFloat, model_validator
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from afdcd import storage
from afdcd.config import FrozenConfig, UserError
from afdcd.data.catalog.datasets import DatasetName, Protocol, prepare_command
from afdcd.data.shards.parquet import Row
from afdcd.data.shards.rows import Rows, open_split
from afdcd.data.synthetic.dataset import ensure_synthetic
from afdcd.data.train.batch import Batch
from afdcd.data.train.jitter import Jitter, jitter
from afdcd.data.train.prefetch import fetch_ahead
from afdcd.data.train.transforms import (
    Normalisation,
    cut_image,
    cut_label,
    draw_window,
    normalise,
    scale_steps,
)
from afdcd.seeds import derive
from afdcd.text import first_line

# Rows that each process fetches before their turn: with a round trip of 100 ms to a store, 80 images
# a second, which is more than a process decodes.
READ_AHEAD = 8
# How torch begins the errors by which it reports that a loader process is gone.
_GONE = ("DataLoader worker", "Pin memory thread exited")


class DataConfig(FrozenConfig):
    """What a network is shown: which rows of which data set, and how they are augmented.

    Attributes:
        root: path or URI of the prepared data set; None renders the synthetic one.
        crop: (height, width) in pixels.
        scale: smallest and largest factor; drawn in steps of `scale_step`.
        jitter: strengths of photometric jitter; off by default.
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
    jitter: Jitter = Jitter()
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
                f"`{prepare_command(self.dataset, 'ROOT')}` wrote"
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
) -> Iterator[Batch]:
    """This rank's slices of the global batches of iterations `start` to `stop` - 1.

    Args:
        pin: in page-locked memory, from which a GPU copies without holding up the host.

    Raises:
        UserError: `batch` (the global one) does not divide by `world`, a row cannot be read, or a
            loader process was killed.
    """
    if batch % world:
        raise UserError(f"batch {batch} does not divide by {world} workers; change one of them")
    rows = open_split(root, config.dataset, config.protocol, "train")
    share = batch // world
    indices = range(rank * share, (rank + 1) * share)
    loader = DataLoader(
        _Share(config, rows, seed, batch, indices, range(start, stop)),
        batch_size=None,  # what is iterated over are batches already
        num_workers=config.loader_workers,
        pin_memory=pin,
        # Starting a loader draws a number; from the global generator it would shift dropout.
        generator=torch.Generator(),
        multiprocessing_context=_context(config, root),
    )
    return _checked(loader)


def _context(config: DataConfig, root: str) -> BaseContext | None:
    """How loader processes start.

    A process that is forked must not inherit the threads of an S3 client: for a URI all are forked
    from a server process that has imported everything and connected to nothing. For a folder they are
    forked from this one, which shares its index with them.
    """
    if config.loader_workers == 0:
        return None
    if "://" not in root:
        return get_context("fork")
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])  # or each process would spend seconds on torch
    return context


def _checked(loader: DataLoader[Batch | UserError]) -> Iterator[Batch]:
    """What a loader process reports or leaves behind, as an error in one line."""
    try:
        for loaded in _quietly(loader):
            if isinstance(loaded, UserError):
                raise loaded
            yield loaded
    except RuntimeError as error:
        if not str(error).startswith(_GONE):
            raise
        raise UserError(
            f"a loader process is gone ({first_line(error)}): killed by hand, or for want "
            "of memory or of shared memory (/dev/shm); lower data.loader_workers, or give it more"
        ) from None


def _quietly(loader: DataLoader[Batch | UserError]) -> Iterator[Batch | UserError]:
    """Iterate without torch's SIGCHLD handler.

    It would raise in whatever the main thread does when a loader process dies, a training step for
    instance; the loader finds out by itself when the next batch is asked for.
    """
    if threading.current_thread() is not threading.main_thread():
        return iter(loader)  # torch leaves signals alone then
    handler = signal.getsignal(signal.SIGCHLD)
    batches = iter(loader)
    signal.signal(signal.SIGCHLD, handler)
    return batches


def evaluation_images(
    config: DataConfig, root: str, role: str, rank: int = 0, world: int = 1
) -> Iterator[tuple[str, Float32[Tensor, "1 3 H W"], Int64[Tensor, "1 H W"]]]:
    """Key, image and label at native size; each row on exactly one rank, none repeated."""
    rows = open_split(root, config.dataset, config.protocol, role)
    indices = range(rank, len(rows), world)
    for index, row in fetch_ahead(rows, indices, READ_AHEAD):
        pixels = normalise(rows.image(index, row), config.normalisation)
        label = torch.from_numpy(rows.label(index, row).astype(np.int64))
        yield row.key, pixels[None], label[None]


class _Share(IterableDataset[Batch | UserError]):
    """The batches of one rank; each loader process takes every n-th of them."""

    def __init__(
        self,
        config: DataConfig,
        rows: Rows,
        seed: int,
        batch: int,
        indices: range,
        iterations: range,
    ) -> None:
        self._config, self._rows, self._seed, self._batch = config, rows, seed, batch
        self._indices, self._iterations = indices, iterations
        self._scales = scale_steps(config.scale, config.scale_step)

    def __iter__(self) -> Iterator[Batch | UserError]:
        process = get_worker_info()
        own = self._iterations[process.id :: process.num_workers] if process else self._iterations
        wanted = (self._row(iteration, index) for iteration in own for index in self._indices)
        try:
            fetched = fetch_ahead(self._rows, wanted, READ_AHEAD)
            for iteration in own:
                batch = Batch.blank(len(self._indices), self._config.crop)
                for place, index in enumerate(self._indices):
                    rng = np.random.default_rng(derive(self._seed, "augment", iteration, index))
                    self._show(batch, place, *next(fetched), rng)
                yield batch
        except UserError as error:
            yield error  # raised in a loader process it would arrive as a traceback in a message

    def _row(self, iteration: int, index: int) -> int:
        epoch, place = divmod(iteration * self._batch + index, len(self._rows))
        return int(_order(self._seed, epoch, len(self._rows))[place])

    def _show(
        self, batch: Batch, place: int, index: int, row: Row, rng: np.random.Generator
    ) -> None:
        """Decode row `index`, augment it and put it at `place` of the batch."""
        config, size = self._config, (row.height, row.width)
        window = draw_window(rng, size, crop=config.crop, scales=self._scales, flip=config.flip)
        needed = window.rows(row.height)
        image = cut_image(self._rows.image(index, row, needed), row.height, window)
        label = cut_label(self._rows.label(index, row, needed), row.height, window)
        batch.put(place, jitter(image, rng, config.jitter), label, at_right=window.flip)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, rows: int) -> np.ndarray:
    order = np.arange(rows, dtype=np.uint32)
    np.random.default_rng(derive(seed, "order", epoch)).shuffle(order)
    return order
