from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from afdcd.config import UserError, validate
from afdcd.data.loader import DataConfig, evaluation_images, prepared_root, train_batches
from afdcd.data.rows import open_split

CONFIG = DataConfig(dataset="camvid", root="unused", protocol="official", crop=(32, 40))
PLAIN = CONFIG.updated(crop=(32, 32), scale=(1.0, 1.0), flip=False)


def _batches(
    root: str, config: DataConfig = CONFIG, **changes: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    place = {"seed": 7, "batch": 4, "rank": 0, "world": 1, "start": 0, "stop": 5, **changes}
    return list(train_batches(config, root, **place))


def _equal(
    first: list[tuple[torch.Tensor, torch.Tensor]], second: list[tuple[torch.Tensor, torch.Tensor]]
) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])
        for a, b in zip(first, second, strict=True)
    )


def test_shapes_and_types(prepared: str) -> None:
    batches = _batches(prepared)
    assert len(batches) == 5
    for images, labels in batches:
        assert (images.shape, images.dtype) == ((4, 3, 32, 40), torch.float32)
        assert (labels.shape, labels.dtype) == ((4, 32, 40), torch.int64)
        assert set(labels.unique().tolist()) <= {*range(11), 255}


def test_two_ranks_together_train_what_one_does(prepared: str) -> None:
    ranks = [_batches(prepared, rank=rank, world=2) for rank in range(2)]
    joined = [
        (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]])) for a, b in zip(*ranks, strict=True)
    ]
    assert _equal(joined, _batches(prepared))


def test_a_later_start_continues_as_if_never_interrupted(prepared: str) -> None:
    assert _equal(_batches(prepared, start=3), _batches(prepared)[3:])


def test_loader_processes_change_nothing(prepared: str) -> None:
    assert _equal(_batches(prepared, CONFIG.updated(loader_workers=2)), _batches(prepared))


def test_another_seed_gives_other_batches(prepared: str) -> None:
    assert not _equal(_batches(prepared, seed=8), _batches(prepared))


def test_each_epoch_shows_each_row_once_in_a_new_order(prepared: str) -> None:
    rows = open_split(prepared, "camvid", "official", "train")
    names = {label.tobytes(): key for key, _, label in rows}
    seen = [
        names[label[:24].numpy().astype(np.uint8).tobytes()]
        for _, labels in _batches(prepared, PLAIN, batch=2, stop=10)
        for label in labels
    ]
    epochs = [seen[start : start + 5] for start in range(0, 20, 5)]
    assert all(Counter(epoch) == Counter(names.values()) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_same_row_is_augmented_anew_each_time(prepared: str) -> None:
    config = CONFIG.updated(protocol="dev", crop=(32, 32))
    images = [image for images, _ in _batches(prepared, config, stop=6) for image in images]
    assert len({image.numpy().tobytes() for image in images}) > 20  # of 24 draws from 3 rows


def test_random_numbers_of_the_model_are_left_alone(prepared: str) -> None:
    state = torch.get_rng_state()
    _batches(prepared, CONFIG.updated(loader_workers=1), stop=2)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_row_is_one_line_with_its_key(
    prepared: str, corrupt: Callable[[Path, bytes], None], workers: int
) -> None:
    corrupt(Path(prepared) / "train-00000-of-00002.parquet", b"IHDR")
    with pytest.raises(UserError, match="row '0001TP_006690' cannot be read") as error:
        _batches(prepared, CONFIG.updated(loader_workers=workers))
    assert "\n" not in str(error.value)


def test_batch_must_divide_by_the_workers(prepared: str) -> None:
    with pytest.raises(UserError, match="batch 4 does not divide by 3 workers"):
        _batches(prepared, world=3)


def test_evaluation_visits_each_image_once_at_native_size(prepared: str) -> None:
    keys = []
    for rank in range(2):
        for key, image, label in evaluation_images(CONFIG, prepared, "train", rank, 2):
            keys.append(key)
            assert (image.shape, image.dtype) == ((1, 3, 24, 32), torch.float32)
            assert (label.shape, label.dtype) == ((1, 24, 32), torch.int64)
    rows = open_split(prepared, "camvid", "official", "train")
    assert sorted(keys) == sorted(rows.key(index) for index in range(5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "camvd"}, "dataset.*'synthetic' or 'camvid'"),
        ({"root": None}, "needs `root`.*afdcd.prepare camvid"),
        ({"crop": [16, 64]}, "crop .16, 64. is too small"),
        ({"scale": [2.0, 0.5]}, "must be .smallest, largest."),
        ({"scale": [0.0, 0.5]}, "scale.0"),
        ({"loader_workers": -1}, "loader_workers"),
        ({"normalisation": "none"}, "'imagenet' or 'caffe'"),
    ],
)
def test_config_rejects(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(DataConfig, {**CONFIG.plain(), **change})


def test_root_given_is_root_used(tmp_path: Path) -> None:
    assert prepared_root(CONFIG, str(tmp_path)) == "unused"
    assert list(tmp_path.iterdir()) == []
