from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from afdcd.config import UserError, validate
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.rows import open_split
from afdcd.data.train.batch import Batch
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import CPU, evaluation_images, prepared_root, train_batches
from afdcd.data.train.transforms import _mean_std, normalise
from tests.own_sets import prepare_own

CONFIG = DataConfig(dataset="camvid", root="unused", protocol="official", crop=(32, 40))
PLAIN = CONFIG.updated(crop=(32, 32), scale=(1.0, 1.0), flip=False)


def _batches(root: str, config: DataConfig = CONFIG, **changes: int) -> list[Batch]:
    return list(_endless(root, config, **{"stop": 5, **changes}))


def _endless(root: str, config: DataConfig = CONFIG, **changes: int) -> Iterator[Batch]:
    place = {"seed": 7, "batch": 4, "rank": 0, "world": 1, "start": 0, "stop": 10**6, **changes}
    return train_batches(config, root, **place)


def _equal(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(x, y)
        for a, b in zip(first, second, strict=True)
        for x, y in zip(a, b, strict=True)
    )


def test_shapes_and_types(prepared: str) -> None:
    batches = _batches(prepared)
    assert len(batches) == 5
    for images, labels, shown in batches:
        assert (images.shape, images.dtype) == ((4, 3, 32, 40), torch.uint8)
        assert (labels.shape, labels.dtype) == ((4, 32, 40), torch.uint8)
        assert (shown.shape, shown.dtype) == ((4, 3), torch.int64)
        assert set(labels.unique().tolist()) <= {*range(11), 255}


def test_two_ranks_together_train_what_one_does(prepared: str) -> None:
    ranks = [_batches(prepared, rank=rank, world=2) for rank in range(2)]
    joined = [
        Batch(*(torch.cat(parts) for parts in zip(*batches, strict=True)))
        for batches in zip(*ranks, strict=True)
    ]
    assert _equal(joined, _batches(prepared))


def test_a_later_start_continues_as_if_never_interrupted(prepared: str) -> None:
    assert _equal(_batches(prepared, start=3), _batches(prepared)[3:])


@pytest.mark.parametrize("workers", [1, 2])
def test_loader_processes_change_nothing(prepared: str, workers: int) -> None:
    """Also where some of them have a batch less to make than others."""
    config = CONFIG.updated(loader_workers=workers)
    assert _equal(_batches(prepared, config), _batches(prepared))


def test_reading_ahead_changes_nothing(prepared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = _batches(prepared)
    monkeypatch.setattr("afdcd.data.train.loader.READ_AHEAD", 0)
    assert _equal(_batches(prepared), ahead)


def test_batches_show_what_the_whole_image_resized_and_cut_shows(prepared: str) -> None:
    """The row, its window and its place in the batch, all from the seed; padding at the right."""
    config = CONFIG.updated(crop=(32, 40), scale=(0.5, 0.5), flip=False)
    rows = open_split(prepared, "camvid", "official", "train")
    small = {
        cv2.resize(label, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST).tobytes(): image
        for _, image, label in rows
    }
    for image, label, shown in zip(*_batches(prepared, config)[0], strict=True):
        expected = cv2.resize(small[label[:12, :16].numpy().tobytes()], None, fx=0.5, fy=0.5)
        assert np.array_equal(image[:, :12, :16].permute(1, 2, 0).numpy(), expected)
        assert shown.tolist() == [12, 0, 16]
        assert (label[12:] == 255).all()
        assert (label[:, 16:] == 255).all()


def test_padding_of_a_mirrored_image_is_at_its_left(prepared: str) -> None:
    config = CONFIG.updated(scale=(1.0, 1.0))
    batches = _batches(prepared, config)
    places = {tuple(shown.tolist()) for batch in batches for shown in batch.shown}
    assert places == {(24, 0, 32), (24, 8, 40)}
    for batch in batches:
        for label, (_, left, right) in zip(batch.labels, batch.shown.tolist(), strict=True):
            assert (label[:24, left:right] != 255).any(dim=0).all()
            assert (label[:, :left] == 255).all()
            assert (label[:, right:] == 255).all()


def test_jitter_changes_the_colours_alone(prepared: str) -> None:
    plain = _batches(prepared)
    config = CONFIG.updated(jitter={"brightness": 0.5, "hue": 0.1})
    changed = _batches(prepared, config)
    assert _equal(changed, _batches(prepared, config.updated(loader_workers=1)))
    for a, b in zip(plain, changed, strict=True):
        assert torch.equal(a.labels, b.labels)
        assert torch.equal(a.shown, b.shown)
        assert not torch.equal(a.images, b.images)
        for image, (bottom, left, right) in zip(b.images, b.shown.tolist(), strict=True):
            assert image.sum() == image[:, :bottom, left:right].sum()  # nothing in the padding


def test_another_seed_gives_other_batches(prepared: str) -> None:
    assert not _equal(_batches(prepared, seed=8), _batches(prepared))


def test_each_epoch_shows_each_row_once_in_a_new_order(prepared: str) -> None:
    rows = open_split(prepared, "camvid", "official", "train")
    names = {label.tobytes(): key for key, _, label in rows}
    seen = [
        names[label[:24].numpy().tobytes()]
        for batch in _batches(prepared, PLAIN, batch=2, stop=10)
        for label in batch.labels
    ]
    epochs = [seen[start : start + 5] for start in range(0, 20, 5)]
    assert all(Counter(epoch) == Counter(names.values()) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_same_row_is_augmented_anew_each_time(prepared: str) -> None:
    config = CONFIG.updated(protocol="dev", crop=(32, 32))
    images = [image for batch in _batches(prepared, config, stop=6) for image in batch.images]
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


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("world", [1, 2])
def test_loader_processes_change_nothing_of_an_evaluation(
    prepared: str, workers: int, world: int
) -> None:
    """Keys, pixels, labels and their order, also where some have a picture less than others."""
    config = CONFIG.updated(loader_workers=workers, normalisation="caffe")
    for rank in range(world):
        plain, loaded = (
            list(evaluation_images(each, prepared, "train", rank, world))
            for each in (config.updated(loader_workers=0), config)
        )
        assert [key for key, _, _ in loaded] == [key for key, _, _ in plain]
        for a, b in zip(plain, loaded, strict=True):
            assert a[1].equal(b[1])
            assert a[2].equal(b[2])


def test_an_evaluated_picture_is_the_stored_one_normalised(prepared: str) -> None:
    rows = open_split(prepared, "camvid", "official", "val")
    for index, (key, image, label) in enumerate(evaluation_images(CONFIG, prepared, "val")):
        stored, pixels, labels = rows[index]
        assert key == stored
        assert image[0].equal(normalise(pixels, CONFIG.normalisation))
        assert np.array_equal(label[0].numpy(), labels)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_row_ends_an_evaluation_in_one_line(
    prepared: str, corrupt: Callable[[Path, bytes], None], workers: int
) -> None:
    corrupt(Path(prepared) / "train-00000-of-00002.parquet", b"IHDR")
    config = CONFIG.updated(loader_workers=workers)
    with pytest.raises(UserError, match="row '0001TP_006690' cannot be read") as error:
        list(evaluation_images(config, prepared, "train"))
    assert "\n" not in str(error.value)


def test_training_can_follow_an_evaluation(prepared: str) -> None:
    """Which runs in torch's inference mode, whose tensors no training may change."""
    _mean_std.cache_clear()
    with torch.inference_mode():
        list(evaluation_images(CONFIG, prepared, "val"))
    (batch,) = _batches(prepared, stop=1)
    weight = torch.ones(1, requires_grad=True)
    images, _ = batch.normalised(CONFIG.normalisation)
    (images * weight).sum().backward()
    assert not any(tensor.is_inference() for tensor in _mean_std(CONFIG.normalisation, CPU))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "cam vid"}, "letters, digits"),
        ({"root": None}, "needs `root`.*afdcd.prepare camvid"),
        ({"crop": [16, 64]}, "crop .16, 64. is too small"),
        ({"scale": [2.0, 0.5]}, "must be .smallest, largest."),
        ({"scale": [0.0, 0.5]}, "scale.0"),
        ({"loader_workers": -1}, "loader_workers"),
        ({"jitter": {"hue": 0.6}}, "jitter.hue"),
        ({"jitter": {"brightnes": 0.6}}, "did you mean 'brightness'"),
        ({"normalisation": "none"}, "'imagenet' or 'caffe'"),
    ],
)
def test_config_rejects(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(DataConfig, {**CONFIG.plain(), **change})


def test_root_given_is_root_used(tmp_path: Path) -> None:
    assert prepared_root(CONFIG, str(tmp_path)) == "unused"
    assert list(tmp_path.iterdir()) == []


def test_unlabelled_pictures_take_their_share_and_have_no_label_at_all(tmp_path: Path) -> None:
    root = prepare_own(tmp_path, "own", unlabelled=3)
    config = PLAIN.updated(dataset="own", root=root, protocol="dev")
    rows = open_split(root, "own", "dev", "train")

    def lacking(share: float | None, world: int = 1) -> list[bool]:
        place = {"seed": 7, "batch": 4, "start": 0, "stop": 6, "world": world}
        ranks = [
            list(train_batches(config, root, **place, rank=rank, unlabelled_share=share))
            for rank in range(world)
        ]
        together = [
            torch.cat([batch.labels for batch in some]) for some in zip(*ranks, strict=True)
        ]
        return [bool((label == IGNORE).all()) for batch in together for label in batch]

    assert sum(lacking(0.0)) == 0
    assert sum(lacking(0.5)) == 12
    assert lacking(0.5, world=2) == lacking(0.5)
    epoch = lacking(None)[: len(rows)]  # as many as there are
    assert sum(epoch) == 3


def test_a_share_of_nothing_is_refused(prepared: str) -> None:
    place = {"seed": 7, "batch": 4, "rank": 0, "world": 1, "start": 0, "stop": 1}
    with pytest.raises(UserError, match="has no unlabelled pictures"):
        train_batches(CONFIG, prepared, **place, unlabelled_share=0.5)
