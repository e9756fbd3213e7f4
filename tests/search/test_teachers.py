"""The teacher gate: wrong classes, wrong files and weak teachers stop a study before it costs."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.datasets import CAMVID, SYNTHETIC
from afdcd.models.config import ModelConfig
from afdcd.models.weights import NetworkCard, load_network, save_network
from afdcd.search import teachers
from afdcd.search.cluster import Cluster
from afdcd.search.teachers import Teachers
from afdcd.training.artifacts import STUDENT_FILE
from afdcd.training.job import Job, RunResult
from tests.examples import trial

MODEL = ModelConfig(head="pspnet", encoder="timm:lcnet_050", aux=False)
CARD = NetworkCard(
    model=MODEL,
    dataset="synthetic",
    classes=SYNTHETIC.classes,
    palette=SYNTHETIC.palette,
    normalisation="imagenet",
    miou=0.6,
    split="dev/val",
)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """What measuring finds, and how often it was asked for; stands in for the cluster."""
    found = SimpleNamespace(miou=0.6, calls=0)

    def score_networks(weights: list[str], *_: Any) -> list[Any]:
        found.calls += 1
        for uri in weights:
            load_network(Path(uri))  # what is measured must be loadable
        return [SimpleNamespace(miou=found.miou)]

    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "storage"))
    monkeypatch.setattr(teachers, "score_networks", score_networks)
    return found


def saved(folder: Path, **changes: Any) -> Path:
    card = CARD.updated(**changes)
    file = folder / "teacher.safetensors"
    torch.manual_seed(0)
    save_network(file, card.model.build(len(card.classes)), card)
    return file


def prepare(weights: Path | str, model: dict | None = None, **changes: Any) -> Any:
    config = trial(pair__teacher={"weights": str(weights), "model": model}, **changes)
    return Teachers(SimpleNamespace(), [], Cluster(2, 0, 1), "digest" * 8).prepare(config)


def test_given_teacher_is_copied_with_its_card_and_measured_once(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file = saved(tmp_path)
    teacher = prepare(file)
    assert teacher.miou == 0.6
    assert load_network(Path(teacher.weights))[1] == CARD
    assert teacher.weights.startswith(str(tmp_path / "storage" / "teachers"))
    measured.miou = 0.1
    assert prepare(file).miou == 0.6
    assert measured.calls == 1
    prepare(file, data__protocol="official")
    assert measured.calls == 2


@pytest.mark.parametrize(
    ("miou", "recorded", "split", "refused"),
    [
        (0.596, 0.6, "dev/val", False),
        (0.594, 0.6, "dev/val", True),
        (0.9, 0.6, "dev/val", False),
        (0.1, 0.6, "official/val", False),  # another split: nothing to compare with
        (0.1, None, "dev/val", False),
    ],
)
def test_teacher_below_its_record_on_the_same_split_is_refused(
    measured: SimpleNamespace,
    tmp_path: Path,
    miou: float,
    recorded: float | None,
    split: str,
    refused: bool,
) -> None:
    measured.miou = miou
    file = saved(tmp_path, miou=recorded, split=split)
    if not refused:
        assert prepare(file).miou == miou
        return
    with pytest.raises(UserError, match=r"scores mIoU 59\.40 % on dev/val, recorded is 60\.00 %"):
        prepare(file)


def test_refusal_stands_when_the_command_is_run_again(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    measured.miou = 0.1
    file = saved(tmp_path)
    for _ in range(2):
        with pytest.raises(UserError, match="nothing was started"):
            prepare(file)
    assert measured.calls == 1


def one_line(call: Any) -> str:
    with pytest.raises(UserError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_teacher_of_other_classes_is_refused(measured: SimpleNamespace, tmp_path: Path) -> None:
    file = saved(tmp_path, dataset="camvid", classes=CAMVID.classes, palette=CAMVID.palette)
    text = one_line(lambda: prepare(file))
    assert "knows 11 classes of 'camvid', the data set is 'synthetic'" in text
    assert measured.calls == 0


def test_teacher_of_other_normalisation_names_the_setting(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file = saved(tmp_path, normalisation="caffe")
    assert "set data.normalisation: caffe" in one_line(lambda: prepare(file))


def test_file_of_another_network_than_the_config_says_is_refused(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file = saved(tmp_path)
    said = {"head": "pspnet", "encoder": "timm:resnet10t"}
    text = one_line(lambda: prepare(file, said))
    assert "holds pspnet-lcnet_050, the config says pspnet-resnet10t" in text


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"PK\x03\x04 a torch.save file", "pickled checkpoint"), (b"hello", "safetensors")],
)
@pytest.mark.parametrize("model", [None, MODEL.plain()])
def test_what_is_no_safetensors_file_is_refused(
    measured: SimpleNamespace, tmp_path: Path, data: bytes, reason: str, model: dict | None
) -> None:
    file = tmp_path / "teacher.safetensors"
    file.write_bytes(data)
    assert reason in one_line(lambda: prepare(file, model))


def test_missing_file_and_bare_weights_without_a_model_are_refused(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    assert "cannot be read" in one_line(lambda: prepare(tmp_path / "none.safetensors"))
    assert "bare weights" in one_line(lambda: prepare(bare(tmp_path)))


def bare(folder: Path) -> Path:
    file = folder / "bare.safetensors"
    save_file(MODEL.build(len(SYNTHETIC.classes)).state_dict(), file)
    return file


def test_bare_weights_with_a_model_get_a_card(measured: SimpleNamespace, tmp_path: Path) -> None:
    teacher = prepare(bare(tmp_path), MODEL.plain())
    assert (teacher.card.model, teacher.card.miou) == (MODEL, None)
    assert load_network(Path(teacher.weights))[1].classes == SYNTHETIC.classes


class Registry:
    """Stands in for cluster and registry: training leaves a file, registering remembers it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.known: dict[str, str] = {}
        self.trained: list[Job] = []
        self.end: RunResult | None = RunResult("completed", {"miou": 0.6})
        self.finished = True
        self.client = None
        self.commit = "abc"
        monkeypatch.setattr(teachers, "run_jobs", self._run)
        monkeypatch.setattr(teachers, "find", lambda client, print_: self.known.get(print_))
        monkeypatch.setattr(teachers, "register", self._register)
        monkeypatch.setattr(teachers, "fetch", lambda uri: self.folder / "teacher.safetensors")

    def run_of(self, name: str) -> str:
        return f"run of {name}"

    def _run(self, source: Any, *_: Any, **__: Any) -> bool:
        job = source.next()
        self.trained.append(job)
        if self.finished:
            file = saved(self.folder, model=job.config.pair.student)
            storage.write_bytes(storage.join(job.folder, STUDENT_FILE), file.read_bytes())
            source.finish(job, self.end)
        return self.finished

    def _register(self, client: Any, version: Any, weights: bytes) -> str:
        self.known[version.tags["fingerprint"]] = f"models:/{version.name}/1"
        return "1"


@pytest.fixture
def registry(
    measured: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Registry:
    return Registry(monkeypatch, tmp_path)


def test_teacher_is_trained_once_and_found_by_every_later_study(registry: Registry) -> None:
    first = Teachers(registry, [], Cluster(4, 0, 1), "digest").prepare(trial())
    again = Teachers(registry, [], Cluster(4, 0, 1), "digest").prepare(trial(training__lr=0.3))
    assert first == again
    assert len(registry.trained) == 1
    Teachers(registry, [], Cluster(4, 0, 1), "other data").prepare(trial())
    assert len(registry.trained) == 2


def test_teacher_trains_on_the_whole_host_as_a_plain_run(registry: Registry) -> None:
    Teachers(registry, [], Cluster(4, 0, 1), "digest").prepare(trial())
    (job,) = registry.trained
    assert job.config.resources.cpus_per_worker == 4
    assert job.config.distiller.method == "none"
    assert job.config.training == trial().pair.teacher.train
    assert job.teacher is None


def test_interrupted_training_is_no_teacher_and_no_error(registry: Registry) -> None:
    registry.finished = False
    assert Teachers(registry, [], Cluster(4, 0, 1), "digest").prepare(trial()) is None
    assert not registry.known


def test_failed_training_tells_its_cause(registry: Registry) -> None:
    registry.end = RunResult("failed", {}, "loss term task is not finite")
    text = one_line(lambda: Teachers(registry, [], Cluster(4, 0, 1), "digest").prepare(trial()))
    assert text == "teacher pspnet-resnet10t: training failed: loss term task is not finite"
    assert not registry.known


def test_record_of_a_measurement_is_plain_json(measured: SimpleNamespace, tmp_path: Path) -> None:
    teacher = prepare(saved(tmp_path))
    (record,) = Path(teacher.weights).parent.glob("*.json")
    assert json.loads(record.read_text()) == {"miou": 0.6}
