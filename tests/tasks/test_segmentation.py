"""The task loss by hand and over ranks; predictions at label size; evaluation leaves no trace."""

import math

import pytest
import torch
from torch import Tensor, nn

from afdcd.data.catalog.train_ids import IGNORE
from afdcd.models.outputs import Output
from afdcd.tasks.inference import InferenceConfig, predict_labels
from afdcd.tasks.segmentation import evaluate, task_terms

CPU = torch.device("cpu")


class Echo(nn.Module):
    """Predicts at each pixel the class of the brightest channel."""

    def forward(self, images: Tensor) -> Output:
        return Output(images, None, {})


class Fixed(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: Tensor) -> Output:
        return Output(self.logits, None, {})


class Tiny(nn.Module):
    """A trainable network whose normalisation would notice training mode."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm2d(3)
        self.classifier = nn.Conv2d(3, classes, 1)
        self.frozen = nn.BatchNorm2d(3).eval()

    def forward(self, images: Tensor) -> Output:
        logits = self.classifier(self.frozen(self.normalisation(images)))
        return Output(logits[:, :, ::2, ::2], None, {})


def test_task_term_is_the_mean_cross_entropy_of_labelled_pixels() -> None:
    logits = torch.tensor([[0.0, math.log(3.0), 9.0], [0.0, 0.0, 0.0]]).view(1, 2, 1, 3)
    labels = torch.tensor([[[0, 0, IGNORE]]])
    expected = (math.log(2.0) + math.log(4 / 3)) / 2
    terms = task_terms(Output(logits, None, {}), labels, torch.tensor(2))
    assert terms.keys() == {"task"}
    assert terms["task"].item() == pytest.approx(expected)


def test_aux_term_is_weighted_on_its_own() -> None:
    logits, labels = _batch(seed=0)
    terms = task_terms(Output(logits, logits, {}), labels, torch.tensor(7.0), aux_weight=0.25)
    torch.testing.assert_close(terms["aux"], 0.25 * terms["task"])


def test_logits_are_upsampled_corner_to_corner() -> None:
    """From 2 to 4 columns the weights are thirds; quarters without align_corners."""
    logits = torch.tensor([[0.0, 0.0], [-1.2, 2.8]]).view(1, 2, 1, 2).requires_grad_()
    labels = torch.tensor([[[0, 1, 1, 1]]])
    assert (
        predict_labels(Fixed(logits), torch.zeros(1, 3, 1, 4), (1, 4)).tolist() == labels.tolist()
    )
    differences = torch.tensor([-1.2, -1.2 + 4 / 3, -1.2 + 8 / 3, 2.8])
    right = torch.where(labels.flatten() == 1, differences, -differences)
    expected = -nn.functional.logsigmoid(right).mean()
    loss = task_terms(Output(logits, None, {}), labels, torch.tensor(4))["task"]
    torch.testing.assert_close(loss, expected)


def test_batch_without_labelled_pixel_gives_zero_loss_and_gradient() -> None:
    logits, labels = _batch(seed=0)
    logits.requires_grad_()
    nothing = torch.full_like(labels, IGNORE)
    terms = task_terms(Output(logits, logits, {}), nothing, torch.tensor(0))
    sum(terms.values()).backward()
    assert [term.item() for term in terms.values()] == [0.0, 0.0]
    assert not logits.grad.any()


def test_averaging_the_gradients_of_two_ranks_gives_that_of_one() -> None:
    logits, labels = _batch(seed=0)
    labels[0, :3] = IGNORE  # the ranks differ in labelled pixels
    whole = _gradient(logits, labels, (labels != IGNORE).sum())
    share = (labels != IGNORE).sum() / 2
    ranks = [_gradient(logits[i : i + 1], labels[i : i + 1], share) for i in range(2)]
    torch.testing.assert_close(torch.cat(ranks) / 2, whole)


def test_loss_of_half_precision_logits_is_computed_in_float32() -> None:
    logits, labels = _batch(seed=0)
    half, valid = logits.bfloat16(), torch.tensor(1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = task_terms(Output(half, None, {}), labels, valid)
    assert terms["task"].dtype == torch.float32
    exact = task_terms(Output(half.float(), None, {}), labels, valid)
    torch.testing.assert_close(terms, exact, rtol=0, atol=0)


def test_evaluate_counts_images_of_different_sizes() -> None:
    images = []
    for rows, columns in ((2, 3), (4, 5)):
        image = torch.zeros(1, 3, rows, columns)
        image[:, 1] = 1.0  # Echo says class 1 everywhere
        label = torch.ones(1, rows, columns, dtype=torch.int64)
        label[0, 0, 0], label[0, 1, 1] = 2, IGNORE
        images.append((f"{rows}", image, label))
    matrix = evaluate(Echo(), images, 3, CPU)
    assert matrix.counts.tolist() == [[0, 0, 0], [0, 4 + 18, 0], [0, 2, 0]]


def test_evaluate_leaves_network_and_its_modes_as_they_were() -> None:
    network = Tiny().train()
    network.frozen.eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    evaluate(network, _images(), 3, CPU)
    assert (network.training, network.normalisation.training) == (True, True)
    assert not network.frozen.training
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def test_evaluate_gives_the_modes_back_when_an_image_fails() -> None:
    network = Tiny().train()
    with pytest.raises(RuntimeError):
        evaluate(network, [("bad", torch.zeros(1, 5, 4, 4), torch.zeros(1, 4, 4))], 3, CPU)
    assert network.normalisation.training


@pytest.mark.parametrize("options", [{"channels_last": True}, {"autocast": torch.bfloat16}])
def test_evaluate_agrees_under_other_layouts_and_precision(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = Tiny()
    plain, other = (evaluate(network, _images(), 3, CPU, **o) for o in ({}, options))
    assert other.counts.sum() == plain.counts.sum()
    assert (other.counts - plain.counts).abs().sum() <= 0.05 * plain.counts.sum()


def test_evaluate_shows_each_prediction_as_it_counts_it() -> None:
    torch.manual_seed(0)
    seen = []
    matrix = evaluate(Tiny(), _images(), 3, CPU, sink=lambda *shown: seen.append(shown))
    ((key, predicted),) = seen
    assert key == "one"
    assert (
        torch.bincount(predicted.flatten(), minlength=3).tolist() == matrix.counts.sum(0).tolist()
    )


def test_evaluate_shows_images_as_it_is_told() -> None:
    sides = []

    class Looking(Echo):
        def forward(self, images: Tensor) -> Output:
            sides.append(tuple(images.shape[2:]))
            return super().forward(images)

    evaluate(
        Looking(), _images(), 3, CPU, inference=InferenceConfig(window=(16, 16), scales=(0.5,))
    )
    assert sides == [(16, 16)]


def test_a_predicted_class_that_the_data_never_label_counts_against_the_labelled_one() -> None:
    matrix = evaluate(Echo(), _images(), 3, CPU, absent={2})
    plain = evaluate(Echo(), _images(), 3, CPU)
    assert torch.equal(matrix.counts, plain.counts)
    assert torch.equal(matrix.iou()[:2], plain.iou()[:2])
    assert matrix.iou()[2].isnan()


def test_evaluate_rejects_network_with_other_classes() -> None:
    with pytest.raises(ValueError, match="predicts 5 classes, the data have 3"):
        evaluate(Tiny(classes=5), _images(), 3, CPU)


def _batch(*, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    return logits, torch.randint(3, (2, 8, 10), generator=generator)


def _gradient(logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    leaf = logits.clone().requires_grad_()
    terms = task_terms(Output(leaf, leaf, {}), labels, valid)
    return torch.autograd.grad(sum(terms.values()), leaf)[0]


def _images() -> list[tuple[str, Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(1, 3, 16, 24, generator=generator)
    return [("one", image, torch.randint(3, (1, 16, 24), generator=generator))]


def test_evaluation_searches_no_algorithms_and_training_goes_on_searching(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each new size of image would be searched for anew."""
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    seen = []

    class Looking(nn.Module):
        def forward(self, images: Tensor) -> Output:
            seen.append(torch.backends.cudnn.benchmark)
            return Output(images, None, {})

    image, label = torch.zeros(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64)
    evaluate(Looking(), [("a", image, label)], 3, torch.device("cpu"))
    assert seen == [False]
    assert torch.backends.cudnn.benchmark
