import numpy as np
import pytest
import torch

from afdcd.data.train.batch import Batch
from afdcd.data.train.config import NORMALISATIONS, Normalisation
from afdcd.data.train.transforms import normalise

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
LABEL = np.random.default_rng(1).integers(0, 19, (20, 30), dtype=np.uint8)


def _batch() -> Batch:
    """A whole image, a small one and a small mirrored one."""
    batch = Batch.blank(3, (20, 30))
    batch.put(0, IMAGE, LABEL, at_right=False)
    batch.put(1, IMAGE[:15, :12], LABEL[:15, :12], at_right=False)
    batch.put(2, IMAGE[:15, :12], LABEL[:15, :12], at_right=True)
    return batch


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_a_network_sees_normalised_images_and_zeros_around_them(name: Normalisation) -> None:
    images, labels = _batch().normalised(name)
    whole = normalise(IMAGE, name)
    expected = torch.zeros(3, 3, 20, 30)
    expected[0] = whole
    expected[1, :, :15, :12] = whole[:, :15, :12]
    expected[2, :, :15, 18:] = whole[:, :15, :12]
    assert torch.equal(images, expected)
    assert images.is_contiguous()
    assert labels.dtype is torch.int64
    assert torch.equal(labels[0], torch.from_numpy(LABEL).long())
    assert torch.equal(labels[2, :15, 18:], labels[0, :15, :12])
    assert (labels[2, :, :18] == 255).all()
    assert (labels[1:, 15:] == 255).all()
    assert (labels[1, :, 12:] == 255).all()


def test_says_whether_there_is_padding() -> None:
    batch = _batch()
    assert batch.padded()
    assert not Batch(*(tensor[:1] for tensor in batch)).padded()
    assert Batch(*(tensor[2:] for tensor in batch)).padded()


def test_travels_in_a_fraction_of_the_bytes() -> None:
    batch = _batch()
    travelling = sum(tensor.nbytes for tensor in batch)
    arriving = sum(tensor.nbytes for tensor in batch.normalised("imagenet"))
    assert travelling < arriving / 4.9
