"""Batches whose content is a function of (seed, iteration) alone.

Nothing needs saving to resume: iteration i is computed from i, whatever the number of ranks and of
loader processes. Axes: b images of this rank, h w the crop, H W the stored image.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.shards.parquet import Row
from afdcd.data.shards.rows import Rows, open_split
from afdcd.data.train.batch import Batch
from afdcd.data.train.config import DataConfig
from afdcd.data.train.jitter import jitter
from afdcd.data.train.order import Pools
from afdcd.data.train.prefetch import fetch_ahead
from afdcd.data.train.processes import checked, context, report_what_cannot_be_sent
from afdcd.data.train.to_device import prefetch
from afdcd.data.train.transforms import cut_image, cut_label, draw_window, scale_steps
from afdcd.seeds import derive

if TYPE_CHECKING:
    from afdcd.data.prepare.part import Progress

# Rows that each process fetches before their turn: with a round trip of 100 ms to a store, 80 images
# a second, which is more than a process decodes.
READ_AHEAD = 8
CPU = torch.device("cpu")


def prepared_root(config: DataConfig, folder: str, progress: "Progress | None" = None) -> str:
    """`config.root`; where that is None, the synthetic set in `folder`, rendered on first use."""
    if config.root is not None:
        return config.root
    from afdcd.data.synthetic.dataset import ensure_synthetic  # a renderer that no worker needs

    root = storage.join(folder, "synthetic")
    ensure_synthetic(root, progress)
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
    unlabelled_share: float | None = None,
    pin: bool = False,
) -> Iterator[Batch]:
    """This rank's slices of the global batches of iterations `start` to `stop` - 1.

    Args:
        unlabelled_share: of the images that have no labels; None: as many as there are.
        pin: in page-locked memory, from which a GPU copies without holding up the host.

    Raises:
        UserError: `batch` (the global one) does not divide by `world`, there are no unlabelled rows
            to share, a row cannot be read, or a loader process was killed.
    """
    if batch % world:
        raise UserError(f"batch {batch} does not divide by {world} workers; change one of them")
    rows = open_split(root, config.dataset, config.protocol, "train")
    count = batch // world
    indices = range(rank * count, (rank + 1) * count)
    pools = _pools(rows, unlabelled_share)
    share = _Share(config, rows, pools, seed, batch, indices, range(start, stop))
    return _loaded(share, config.loader_workers, root, pin)


def _pools(rows: Rows, share: float | None) -> Pools:
    if share and not len(rows.unlabelled):
        raise UserError(
            f"training.unlabelled_share {share}: the data set has no unlabelled pictures; leave it out, "
            "or prepare the set with --unlabelled DIR"
        )
    labelled = np.setdiff1d(np.arange(len(rows)), rows.unlabelled)
    return Pools(labelled, rows.unlabelled, share)


def evaluation_images(
    config: DataConfig,
    root: str,
    role: str,
    rank: int = 0,
    world: int = 1,
    device: torch.device = CPU,
) -> Iterator[tuple[str, Float32[Tensor, "1 3 H W"], Int64[Tensor, "1 H W"]]]:
    """Key, image and label at native size, on `device`; each row on exactly one rank, in order.

    Decoded by `config.loader_workers` processes, and copied to a GPU one ahead, as in training.

    Raises:
        UserError: a row cannot be read, or a loader process was killed.
    """
    rows = open_split(root, config.dataset, config.protocol, role)
    indices = range(rank, len(rows), world)
    pictures = _loaded(
        _Whole(rows, indices), config.loader_workers, root, pin=device.type == "cuda"
    )
    arriving = prefetch(pictures, device, config.normalisation)
    for index, (image, label) in zip(indices, arriving, strict=True):
        yield rows.key(index), image, label


def images_of_each(config: DataConfig, root: str, role: str, world: int) -> int:
    """How many images `evaluation_images` gives to every rank; the first ranks may have one more."""
    return len(open_split(root, config.dataset, config.protocol, role)) // world


def _loaded(
    batches: "IterableDataset[Batch | UserError]", workers: int, root: str, pin: bool
) -> Iterator[Batch]:
    loader = DataLoader(
        batches,
        batch_size=None,  # what is iterated over are batches already
        num_workers=workers,
        pin_memory=pin,
        # Starting a loader draws a number; from the global generator it would shift dropout.
        generator=torch.Generator(),
        multiprocessing_context=context(workers, root, __name__),
        worker_init_fn=report_what_cannot_be_sent,
    )
    return checked(loader)


def _own(whole: range) -> range:
    """What this loader process makes of it: each n-th, in which order torch takes them, too."""
    process = get_worker_info()
    return whole[process.id :: process.num_workers] if process else whole


class _Whole(IterableDataset[Batch | UserError]):
    """The pictures of one rank at their own size, each a batch of its own."""

    def __init__(self, rows: Rows, indices: range) -> None:
        self._rows, self._indices = rows, indices

    def __iter__(self) -> Iterator[Batch | UserError]:
        try:
            for index, row in fetch_ahead(self._rows, _own(self._indices), READ_AHEAD):
                batch = Batch.blank(1, (row.height, row.width))
                image, label = self._rows.image(index, row), self._rows.label(index, row)
                batch.put(0, image, label, at_right=False)
                yield batch
        except UserError as error:
            yield error


class _Share(IterableDataset[Batch | UserError]):
    """The batches of one rank; each loader process takes every n-th of them."""

    def __init__(
        self,
        config: DataConfig,
        rows: Rows,
        pools: Pools,
        seed: int,
        batch: int,
        indices: range,
        iterations: range,
    ) -> None:
        self._config, self._rows, self._pools = config, rows, pools
        self._seed, self._batch = seed, batch
        self._indices, self._iterations = indices, iterations
        self._scales = scale_steps(config.scale, config.scale_step)

    def __iter__(self) -> Iterator[Batch | UserError]:
        own = _own(self._iterations)
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
        return self._pools.row(self._seed, self._batch, iteration, index)

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
