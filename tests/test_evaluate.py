"""`python -m afdcd.evaluate`: the table and the JSON line say what the pixels say."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from afdcd.cli import USER_ERROR, run
from afdcd.commands import evaluate
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.datasets import CAMVID, COCO_STUFF, COCO_STUFF_182, SYNTHETIC
from afdcd.data.catalog.train_ids import IGNORE
from afdcd.data.shards.rows import open_split
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.data.train.config import DataConfig
from afdcd.data.train.transforms import normalise
from afdcd.evaluate import main
from afdcd.models.config import ModelConfig
from afdcd.models.outputs import Output
from afdcd.models.weights import NetworkCard, save_network
from afdcd.tasks import segmentation_task

MODEL = ModelConfig(head="pspnet", encoder="mobilenetv2")
CARD = NetworkCard(
    model=MODEL,
    dataset="synthetic",
    classes=SYNTHETIC.classes,
    palette=SYNTHETIC.palette,
    normalisation="imagenet",
    miou=0.4321,
    split="dev/val",
)
Evaluate = Callable[..., int]


class AllRoad(nn.Module):
    classes = len(SYNTHETIC.classes)

    def forward(self, images: Tensor) -> Output:
        logits = torch.zeros(1, len(SYNTHETIC.classes), 2, 2)
        logits[:, SYNTHETIC.classes.index("road")] = 1.0
        return Output(logits, None, {})


@pytest.fixture
def asked() -> list[Any]:
    """What the verb asked of the data: config, root, split."""
    return []


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, asked: list[Any]) -> Evaluate:
    """The verb over two images, half road and half sky, and a network that only knows road."""

    def call(*arguments: str, card: NetworkCard = CARD, images: int = 2) -> int:
        def data(
            config: DataConfig, root: str, split: str, *_: object
        ) -> Iterator[tuple[str, Tensor, Tensor]]:
            asked.append((config, root, split))
            label = torch.full((1, 4, 6), SYNTHETIC.classes.index("road"))
            label[:, :2] = SYNTHETIC.classes.index("sky")
            yield from [("image", torch.zeros(1, 3, 4, 6), label)] * images

        monkeypatch.setattr(evaluate, "fetch", lambda model: model)
        monkeypatch.setattr(evaluate, "load_network", lambda _: (AllRoad(), card))
        monkeypatch.setattr(segmentation_task, "evaluation_images", data)
        monkeypatch.setattr(
            evaluate,
            "read_manifest",
            lambda _, name=None: SimpleNamespace(dataset=name or "synthetic", own=None),
        )
        defaults = ["student.safetensors", "--data", "shards", "--device", "cpu"]
        return run(main, [*defaults, *arguments])

    return call


def test_table_shows_each_class_the_means_and_the_recorded_score(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb() == 0
    text = capsys.readouterr().out
    cells = (line.rpartition("  ") for line in text.splitlines())
    scores = {name.strip(): value for name, _, value in cells}
    assert (scores["sky"], scores["road"], scores["car"]) == ("0.00", "50.00", "-")
    assert scores["mIoU"] == "25.00"
    assert scores["pixel accuracy"] == "50.00"
    assert scores["recorded mIoU (dev/val)"] == "43.21"
    assert text.startswith("pspnet-mobilenetv2 on synthetic, dev/val: 2 images, ")


def test_columns_of_the_table_are_aligned(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    verb()
    table = capsys.readouterr().out.splitlines()[2:]
    assert len(table) > 10
    assert len({len(line) for line in table}) == 1


def test_json_is_the_last_line_and_has_null_for_an_absent_class(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("--json", "--split", "test", "--protocol", "official") == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scores["iou"]["road"] == 0.5
    assert scores["iou"]["car"] is None
    assert scores["miou"] == 0.25
    assert scores["recorded_miou"] == 0.4321
    assert (scores["images"], scores["split"], scores["protocol"]) == (2, "test", "official")
    assert scores["images_per_second"] > 0


def test_loader_processes_are_as_many_as_asked_for(
    verb: Evaluate, asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb() == verb("--loader-workers", "3") == 0
    assert [config.loader_workers for config, _, _ in asked] == [0, 3]
    assert verb("--loader-workers", "-1") == USER_ERROR
    assert capsys.readouterr().err == "error: --loader-workers -1: must be at least 0\n"


def test_root_split_protocol_and_normalisation_reach_the_data(
    verb: Evaluate, asked: list[Any]
) -> None:
    card = CARD.updated(normalisation="caffe")
    assert verb("--split", "test", "--protocol", "official", card=card) == 0
    ((config, root, split),) = asked
    assert (root, split) == ("shards", "test")
    assert (config.dataset, config.protocol) == ("synthetic", "official")
    assert config.normalisation == "caffe"


def test_other_classes_than_the_data_are_refused(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("--dataset", "camvid") == 2
    error = capsys.readouterr().err
    assert "student.safetensors: predicts the 8 classes of synthetic (sky, " in error
    assert "camvid has 11 classes (Sky, " in error
    assert len(error.splitlines()) == 1


def test_the_same_classes_in_another_order_are_refused(verb: Evaluate) -> None:
    card = CARD.updated(dataset="camvid", classes=CAMVID.classes[::-1])
    assert verb("--dataset", "camvid", card=card) == 2


def test_a_network_of_somebody_s_own_set_needs_classes_of_the_same_names(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb(card=CARD.updated(dataset="cityscope", classes=("a", "b"))) == 2
    assert "of which it lacks 8 (sky, building, road, pavement, ...)" in capsys.readouterr().err


def test_empty_split_is_refused(verb: Evaluate, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(images=0) == 2
    assert "no images in dev/val" in capsys.readouterr().err


def test_network_file_and_prepared_shards_give_the_accuracy_of_a_plain_loop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, file = str(tmp_path / "shards"), tmp_path / "student.safetensors"
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=6, val=3, test=2))
    torch.manual_seed(0)
    model = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)
    network = model.build(len(SYNTHETIC.classes)).eval()
    save_network(file, network, CARD.updated(model=model))
    arguments = [str(file), "--data", root, "--device", "cpu", "--protocol", "official", "--json"]
    assert run(main, arguments) == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    right = counted = 0
    rows = open_split(root, "synthetic", "official", "val")
    for _, image, label in (rows[index] for index in range(len(rows))):
        with torch.no_grad():
            logits = network(normalise(image, "imagenet")[None]).logits
        full = F.interpolate(logits, label.shape, mode="bilinear", align_corners=True)
        kept = label != IGNORE
        right += int((full.argmax(1)[0].numpy() == label)[kept].sum())
        counted += int(kept.sum())
    assert scores["images"] == 3
    assert scores["pixel_accuracy"] == pytest.approx(right / counted)


def test_windows_scales_and_flip_reach_the_network(
    verb: Evaluate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    forward = AllRoad.forward

    def looking(self: AllRoad, images: Tensor) -> Output:
        sizes.append(tuple(images.shape[2:]))
        return forward(self, images)

    monkeypatch.setattr(AllRoad, "forward", looking)
    options = ["--window", "4", "4", "--stride", "1/2", "--scales", "1", "2", "--flip"]
    assert verb(*options, "--json", images=1) == 0
    assert sizes == [(4, 4)] * 2 * (2 + 3 * 5)
    shown = json.loads(capsys.readouterr().out.splitlines()[-1])["inference"]
    assert shown == {"window": [4, 4], "stride": 0.5, "scales": [1.0, 2.0], "flip": True}


def test_a_window_without_pixels_is_one_line(
    verb: Evaluate, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb("--window", "0", "4") == 2
    assert "window.0" in capsys.readouterr().err


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("900 GiB"), None])
def test_an_image_too_large_for_the_device_is_one_line(
    verb: Evaluate,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception | None,
) -> None:
    def exhausted(*_: object) -> None:
        if error:
            raise error
        torch.empty(2**52)  # the error of the CPU's own allocator

    monkeypatch.setattr(AllRoad, "forward", exhausted)
    assert verb() == 2
    assert capsys.readouterr().err.startswith("error: image 1 is too large for the memory of cpu")


@pytest.fixture
def coco(verb: Evaluate, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The verb over four pixels of COCO-Stuff: 0, 0, 12, 12 by their raw values."""

    def call(*arguments: str, card: NetworkCard, dataset: Dataset, predicted: list[int]) -> int:
        labels = torch.tensor([[[dataset.raw_to_train[raw] for raw in (0, 0, 12, 12)]]])

        class Fixed(nn.Module):
            classes = len(card.classes)

            def forward(self, images: Tensor) -> Output:
                logits = F.one_hot(torch.tensor(predicted), self.classes).T.float()
                return Output(logits[None, :, None], None, {})

        given = lambda *_, **__: iter([("000000000009", torch.zeros(1, 3, 1, 4), labels)])  # noqa: E731
        monkeypatch.setattr(evaluate, "fetch", lambda model: model)
        monkeypatch.setattr(evaluate, "load_network", lambda _: (Fixed(), card))
        monkeypatch.setattr(segmentation_task, "evaluation_images", given)
        monkeypatch.setattr(
            evaluate, "read_manifest", lambda *_: SimpleNamespace(dataset=dataset.name, own=None)
        )
        default = ["student.safetensors", "--data", "shards", "--device", "cpu", "--json"]
        return run(main, [*default, *arguments])

    return call


def _card_of(dataset: Dataset) -> NetworkCard:
    return CARD.updated(
        dataset=dataset.name, classes=dataset.classes, palette=dataset.palette, miou=None
    )


@pytest.mark.parametrize("dataset", [COCO_STUFF, COCO_STUFF_182], ids=lambda d: d.name)
def test_182_outputs_are_scored_by_both_conventions(
    coco: Callable[..., int], dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand: person right, one of two snowboard pixels called hat, which no label holds."""
    assert coco(card=_card_of(COCO_STUFF_182), dataset=dataset, predicted=[0, 0, 12, 25]) == 0
    out = capsys.readouterr().out
    scores = json.loads(out.splitlines()[-1])
    assert scores["miou"] == 0.75
    assert scores["miou_absent_as_0"] == pytest.approx(1.5 / 182)
    assert scores["pixel_accuracy"] == 0.75
    assert len(scores["iou"]) == 171
    assert "hat" not in scores["iou"]
    assert "mIoU over 182, absent as 0" in out


def test_171_outputs_on_182_classes_are_refused(
    coco: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    card = _card_of(COCO_STUFF)
    assert coco(card=card, dataset=COCO_STUFF_182, predicted=[0, 0, 0, 0]) == 2
    assert "of which it lacks 11 (street sign, hat, " in capsys.readouterr().err


def test_171_outputs_have_one_mean(
    coco: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert coco(card=_card_of(COCO_STUFF), dataset=COCO_STUFF, predicted=[0, 0, 11, 0]) == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "miou_absent_as_0" not in scores
    assert scores["miou"] == pytest.approx((2 / 3 + 1 / 2) / 2)


@pytest.mark.parametrize(
    ("known", "predicted"), [(COCO_STUFF, [0, 11, 12, 170]), (COCO_STUFF_182, [0, 12, 13, 181])]
)
def test_exported_values_are_raw_ones_whatever_the_network_calls_them(
    coco: Callable[..., int], tmp_path: Path, known: Dataset, predicted: list[int]
) -> None:
    folder = str(tmp_path)
    arguments = {"card": _card_of(known), "dataset": COCO_STUFF, "predicted": predicted}
    assert coco("--export", folder, **arguments) == 0
    picture = np.asarray(Image.open(tmp_path / "000000000009.png"))
    assert picture.tolist() == [[0, 12, 13, 181]]


def test_a_folder_that_cannot_be_written_to_is_one_line(
    verb: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    assert verb("--export", str(tmp_path / "file")) == 2
    assert "image.png: cannot be written: " in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m afdcd.evaluate models:/" in capsys.readouterr().out
