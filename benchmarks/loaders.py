"""The three loaders that `data` compares: each an endless iterator of collated batches."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from afdcd.data.shards.rows import open_split
from afdcd.data.train.batch import Batch
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import train_batches
from afdcd.data.train.transforms import cut_image, cut_label, draw_window, scale_steps
from benchmarks.scenes import Kind, Pictures
from tests.reference.official_data import official_sample

BATCH = 4
PHASES = ("read", "decode image", "decode label", "augment", "collate")


def ours(kind: Kind, pictures: Pictures) -> Iterator[Any]:
    """Batches of bytes, which are normalised on the device."""
    config = DataConfig(
        dataset=kind.dataset, root=pictures.root, protocol="official", crop=kind.crop
    )
    return train_batches(
        config, pictures.root, seed=0, batch=BATCH, rank=0, world=1, start=0, stop=10**9
    )


def ours_normalised(kind: Kind, pictures: Pictures) -> Iterator[Any]:
    """As a network takes them, so with what a GPU would do."""
    for batch in ours(kind, pictures):
        yield batch.normalised("imagenet", padded=batch.padded())


def official(kind: Kind, pictures: Pictures) -> Iterator[Any]:
    draw = random.Random(0)

    def samples() -> Iterator[Any]:
        while True:
            for image, label in pictures.files:
                yield official_sample(image, label, kind.official_table, kind.crop, draw.randint)

    return _loaded(samples)


def torchvision(kind: Kind, pictures: Pictures) -> Iterator[Any]:
    """transforms.v2 on tensors: scale, crop, flip, normalise, as its reference for segmentation."""
    from torchvision import io, tv_tensors
    from torchvision.transforms import v2

    table = torch.from_numpy(_lookup(kind))
    transform = v2.Compose(
        [
            v2.ScaleJitter(target_size=kind.size, scale_range=(0.5, 2.0)),
            v2.RandomCrop(
                kind.crop,
                pad_if_needed=True,
                fill={tv_tensors.Image: 0, tv_tensors.Mask: 255},
            ),
            v2.RandomHorizontalFlip(),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64}, scale=True),
            v2.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )

    def samples() -> Iterator[Any]:
        while True:
            for image_file, label_file in pictures.files:
                image = io.decode_image(io.read_file(str(image_file)))
                raw = io.decode_image(io.read_file(str(label_file)))
                label = table[raw.long()]
                yield transform(tv_tensors.Image(image), tv_tensors.Mask(label))

    return _loaded(samples)


def phases(kind: Kind, pictures: Pictures, images: int) -> dict[str, float]:
    """Seconds of one image in each phase of ours, one after the other in this thread."""
    rows = open_split(pictures.root, kind.dataset, "official", "train")
    scales = scale_steps((0.5, 2.0), 0.1)
    spent: Counter[str] = Counter()
    batch = Batch.blank(BATCH, kind.crop)
    for number in range(images):
        index, rng = number % len(rows), np.random.default_rng(number)
        timed = partial(_timed, spent)
        with timed("read"):
            row = rows.fetch(index)
        with timed("augment"):
            window = draw_window(rng, rows.size(index), crop=kind.crop, scales=scales, flip=True)
        with timed("decode image"):
            image = rows.image(index, row, window.rows(row.height))
        with timed("decode label"):
            label = rows.label(index, row, window.rows(row.height))
        with timed("augment"):
            image = cut_image(image, row.height, window)
            label = cut_label(label, row.height, window)
        with timed("collate"):
            if number % BATCH == 0:
                batch = Batch.blank(BATCH, kind.crop)
            batch.put(number % BATCH, image, label, at_right=window.flip)
    return {name: spent[name] / images for name in PHASES}


@contextmanager
def _timed(spent: Counter[str], name: str) -> Iterator[None]:
    started = time.process_time()
    yield
    spent[name] += time.process_time() - started  # type: ignore[assignment]


def _lookup(kind: Kind) -> np.ndarray:
    table = np.arange(256)
    for raw, train in kind.official_table.items():
        table[raw] = 255 if train < 0 else train
    return table


class _Endless(IterableDataset[Any]):
    def __init__(self, samples: Callable[[], Iterator[Any]]) -> None:
        self._samples = samples

    def __iter__(self) -> Iterator[Any]:
        return self._samples()


def _loaded(samples: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    return iter(DataLoader(_Endless(samples), batch_size=BATCH, num_workers=0))
