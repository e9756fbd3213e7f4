"""Windows, scales and mirror images by hand, and against the plain argmax where they must agree."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from afdcd.config import UserError, validate
from afdcd.models.outputs import Output
from afdcd.tasks import inference
from afdcd.tasks.inference import InferenceConfig, predict_labels


class Network(nn.Module):
    """Logits as a function of what is shown; remembers the size of each."""

    def __init__(self, logits: Callable[[Tensor], Tensor], align: bool = True) -> None:
        super().__init__()
        self.logits, self.align = logits, align
        self.shown: list[tuple[int, int]] = []

    def forward(self, images: Tensor) -> Output:
        self.shown.append((images.shape[2], images.shape[3]))
        return Output(self.logits(images), None, {}, self.align)


def convolution(classes: int = 5) -> nn.Module:
    """At output stride 4, blind beyond its own cell."""
    torch.manual_seed(0)
    return nn.Conv2d(3, classes, 4, stride=4)


def image(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 3, rows, columns, generator=torch.Generator().manual_seed(seed))


def says(probability: float) -> Tensor:
    """Logits of two classes on one pixel, the first with this probability."""
    return torch.tensor([probability, 1 - probability]).log().view(1, 2, 1, 1)


@pytest.mark.parametrize("align", [True, False])
def test_many_classes_upsampled_in_chunks_give_the_plain_argmax(align: bool) -> None:
    logits = torch.randn(2, 70, 3, 4, generator=torch.Generator().manual_seed(0))
    plain = F.interpolate(logits, (7, 9), mode="bilinear", align_corners=align)
    network = Network(lambda _: logits, align)
    predicted = predict_labels(network, torch.zeros(2, 3, 7, 9), (7, 9))
    assert torch.equal(predicted, plain.argmax(dim=1))


@pytest.mark.parametrize(
    "config",
    [InferenceConfig(window=(16, 24)), InferenceConfig(scales=(1.0, 1.0))],
    ids=["window of the image's size", "the same scale twice"],
)
def test_what_shows_the_whole_image_agrees_with_one_pass(config: InferenceConfig) -> None:
    network = Network(convolution())
    whole = predict_labels(network, image(16, 24), (16, 24))
    assert len(whole.unique()) > 2
    assert torch.equal(predict_labels(network, image(16, 24), (16, 24), config), whole)


def test_windows_end_at_the_border_and_step_by_the_stride() -> None:
    """By hand: 10 columns, windows of 6 at 2/3: from 0 and 4, together all; 7 columns: 0 and 1."""
    columns = torch.arange(10.0)
    seen = []
    network = Network(lambda shown: seen.append(shown[0, 0, 0]) or shown[:, :2])
    for width in (10, 7):
        picture = columns[:width].expand(1, 3, 4, width)
        predict_labels(network, picture, (4, width), InferenceConfig(window=(4, 6)))
    starts = [[int(part[0]), int(part[-1])] for part in seen]
    assert starts == [[0, 5], [4, 9], [0, 5], [1, 6]]


@pytest.mark.parametrize(("second", "overlap"), [(0.2, 0), (0.05, 1)])
def test_probabilities_of_overlapping_windows_are_averaged(second: float, overlap: int) -> None:
    """0.9 and 0.2 make 0.55 in favour of class 0; 0.9 and 0.05 make 0.475, against it."""
    answers = iter([says(0.9), says(second)])
    network = Network(lambda _: next(answers))
    config = InferenceConfig(window=(2, 4), stride=0.75)
    labels = predict_labels(network, image(2, 7), (2, 7), config)
    assert labels.tolist() == [[[0, 0, 0, overlap, 1, 1, 1]] * 2]


def test_a_scale_with_many_windows_weighs_no_more_than_another() -> None:
    """Where two windows see a pixel, 0.7 and 0.2 make 0.45; counting windows they would make 0.53."""
    answers = iter([says(0.7)] * 3 + [says(0.2)])
    config = InferenceConfig(window=(2, 4), stride=0.5, scales=(1.0, 0.5))
    labels = predict_labels(Network(lambda _: next(answers)), image(2, 8), (2, 8), config)
    assert next(answers, None) is None
    assert labels.unique().tolist() == [1]


@pytest.mark.parametrize("align", [True, False])
def test_windows_agree_with_a_plain_loop_over_them(align: bool) -> None:
    network = convolution()
    config = InferenceConfig(window=(12, 16))
    picture, total, count = image(20, 40), torch.zeros(1, 5, 20, 40), torch.zeros(20, 40)
    for top in (0, 8):
        for left in (0, 11, 22, 24):
            part = picture[:, :, top : top + 12, left : left + 16]
            logits = F.interpolate(network(part), (12, 16), mode="bilinear", align_corners=align)
            total[:, :, top : top + 12, left : left + 16] += logits.softmax(1)
            count[top : top + 12, left : left + 16] += 1
    labels = predict_labels(Network(network, align), picture, (20, 40), config)
    assert torch.equal(labels, (total / count).argmax(1))


def test_scales_and_mirror_images_agree_with_a_plain_mean_of_probabilities() -> None:
    network, picture, scales = convolution(), image(16, 24), (0.5, 1.0, 1.75)
    total = torch.zeros(1, 5, 16, 24)
    for scale in scales:
        size = (round(16 * scale), round(24 * scale))
        shown = F.interpolate(picture, size, mode="bilinear", align_corners=True)
        for logits in (network(shown), network(shown.flip(3)).flip(3)):
            full = F.interpolate(logits, (16, 24), mode="bilinear", align_corners=True)
            total += full.softmax(1)
    asked = Network(network)
    labels = predict_labels(asked, picture, (16, 24), InferenceConfig(scales=scales, flip=True))
    assert torch.equal(labels, total.argmax(1))
    assert asked.shown == [(8, 12)] * 2 + [(16, 24)] * 2 + [(28, 42)] * 2


def test_a_network_that_is_its_own_mirror_image_gains_nothing_from_flipping() -> None:
    network = convolution()
    network.weight.data += network.weight.data.flip(3)
    one = predict_labels(Network(network), image(16, 24), (16, 24))
    both = predict_labels(Network(network), image(16, 24), (16, 24), InferenceConfig(flip=True))
    assert torch.equal(one, both)


def test_an_image_smaller_than_the_window_is_padded_with_the_mean_colour() -> None:
    shown = []
    network = Network(lambda part: shown.append(part) or convolution()(part))
    picture = image(8, 12)
    labels = predict_labels(network, picture, (8, 12), InferenceConfig(window=(16, 16)))
    assert torch.equal(shown[0][:, :, :8, :12], picture)
    assert shown[0].abs().sum() == picture.abs().sum()
    padded = predict_labels(Network(convolution()), shown[0], (16, 16))
    assert torch.equal(labels, padded[:, :8, :12])


def test_every_pixel_has_a_window_at_any_scale_even_where_windows_only_abut() -> None:
    """Half a pixel between two windows would be no number, and argmax 0."""
    for scale in (0.5, 0.75, 1.25, 1.5, 1.75):
        config = InferenceConfig(window=(4, 8), stride=1.0, scales=(scale,))
        network = Network(lambda _: torch.tensor([0.0, 1.0]).view(1, 2, 1, 1))
        assert predict_labels(network, image(13, 29), (13, 29), config).all()


@pytest.mark.parametrize("band", [1, 5 * 24 * 3, 5 * 24 * 7])
def test_the_rows_held_at_a_time_change_nothing(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = InferenceConfig(window=(8, 8), scales=(1.0, 1.5), flip=True)
    whole = predict_labels(Network(convolution()), image(16, 24), (16, 24), config)
    monkeypatch.setattr(inference, "BAND", band)
    assert torch.equal(
        predict_labels(Network(convolution()), image(16, 24), (16, 24), config), whole
    )


def test_images_of_a_batch_do_not_mix() -> None:
    config = InferenceConfig(window=(8, 8), flip=True)
    network = Network(convolution())
    pictures = [image(16, 24, seed) for seed in range(2)]
    together = predict_labels(network, torch.cat(pictures), (16, 24), config)
    alone = [predict_labels(network, picture, (16, 24), config) for picture in pictures]
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize(
    "bad", [{"window": [0, 8]}, {"stride": 0.0}, {"stride": 1.5}, {"scales": []}]
)
def test_impossible_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(bad))):
        validate(InferenceConfig, bad)
