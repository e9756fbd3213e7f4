"""A network is shown its images as it wants them, whatever the runs that it teaches see."""

from itertools import product

import pytest
import torch

from afdcd.config import UserError
from afdcd.data.train.config import NORMALISATIONS
from afdcd.data.train.transforms import normalised, renormaliser
from afdcd.tasks.normalisation import for_network, known
from afdcd.training.build_learner import build_learner
from tests.examples import trial
from tests.training.networks import CLASSES, CPU, batch, built_teacher

IMAGES = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)


@pytest.mark.parametrize(("shown", "wanted"), product(NORMALISATIONS, NORMALISATIONS))
def test_images_come_out_as_if_they_had_been_normalised_so(shown: str, wanted: str) -> None:
    turn = renormaliser(shown, wanted)
    assert (turn is None) == (shown == wanted)
    found = normalised(IMAGES, shown) if turn is None else turn(normalised(IMAGES, shown))
    torch.testing.assert_close(found, normalised(IMAGES, wanted), rtol=1e-5, atol=1e-4)


def test_a_teacher_in_training_sees_what_it_was_trained_on() -> None:
    teacher = built_teacher(trial().pair.teacher.model)
    plain = build_learner(trial(), CLASSES, teacher, CPU).gradient.teacher
    teacher.normalisation = "caffe"
    turned = build_learner(trial(), CLASSES, teacher, CPU).gradient.teacher
    images, _ = batch()
    given = renormaliser("imagenet", "caffe")(images)
    assert turned(images).logits.equal(plain(given).logits)
    assert not turned(images).logits.equal(plain(images).logits)
    caffe = trial(data__normalisation="caffe")
    assert build_learner(caffe, CLASSES, teacher, CPU).gradient.teacher.before is None


def test_a_network_that_nobody_has_named_a_normalisation_for_takes_what_it_is_shown() -> None:
    assert for_network(built_teacher(trial().pair.teacher.model), "caffe") is None


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(UserError, match="normalisation 'grey' is none of imagenet, caffe"):
        known("grey", "t.safetensors")
