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
from afdcd.search import given_teacher, teachers, trained_once
from afdcd.search.cluster import Cluster
from afdcd.search.loop import Loop
from afdcd.search.teachers import Teachers
from afdcd.tasks.score import Score
from afdcd.training.artifacts import STUDENT_FILE
from afdcd.training.job import Job, RunResult
from tests.examples import trial
from tests.pulses import attempt
from tests.search.studies import report

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
        return [Score(name="miou", value=found.miou)]

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
    return Teachers(session(), Cluster(2, 0, 1)).prepare("key", config)


def session(tracker: Any = None, digest: str = "digest" * 8) -> Any:
    return SimpleNamespace(tracker=tracker or SimpleNamespace(), digest=digest)


def test_given_teacher_is_copied_with_its_card_and_measured_once(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file = saved(tmp_path)
    teacher = prepare(file)
    assert teacher.score.value == 0.6
    assert load_network(Path(teacher.weights))[1] == CARD
    assert teacher.weights.startswith(str(tmp_path / "storage" / "teachers"))
    measured.miou = 0.1
    assert prepare(file).score.value == 0.6
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
        assert prepare(file).score.value == miou
        return
    with pytest.raises(
        UserError, match=r"scores mIoU 59\.40 % on dev/val, recorded is mIoU 60\.00 %"
    ):
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


def test_bare_weights_are_what_the_settings_say_of_them_whoever_came_first(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file, model = tmp_path / "bare.safetensors", CARD.model
    save_file(model.build(len(CARD.classes)).state_dict(), file)
    own = Teachers(session(), Cluster(2, 0, 1))
    said = {"weights": str(file), "model": model.plain()}
    teachers_of = {}
    for name in ("imagenet", "caffe"):
        config = trial(pair__teacher=said, data__normalisation=name)
        teachers_of[name] = own.prepare(name, config)
        assert own.prepare(name, config) == teachers_of[name]  # as a later driver finds it
    for name, teacher in teachers_of.items():
        assert load_network(Path(teacher.weights))[1].normalisation == name
    assert measured.calls == 2
    assert len({teacher.sha256 for teacher in teachers_of.values()}) == 1
    assert trial(data__normalisation="caffe").fingerprint("d", "t") != trial().fingerprint("d", "t")


def test_a_copy_that_an_earlier_edition_made_for_other_settings_is_not_taken(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file, model = tmp_path / "bare.safetensors", CARD.model
    network = model.build(len(CARD.classes))
    save_file(network.state_dict(), file)
    digest = storage.sha256(str(file))
    copy = tmp_path / "storage" / "teachers" / f"{digest[:16]}.safetensors"
    copy.parent.mkdir(parents=True)
    save_network(copy, network, CARD.updated(normalisation="imagenet"))
    pins = {"key": {"model": str(file), "sha256": digest}}
    config = trial(
        pair__teacher={"weights": str(file), "model": model.plain()}, data__normalisation="caffe"
    )
    teacher = Teachers(session(), Cluster(2, 0, 1), pins).prepare("key", config)
    assert load_network(Path(teacher.weights))[1].normalisation == "caffe"
    file.unlink()  # once it has its own copy, it needs no origin
    assert Teachers(session(), Cluster(2, 0, 1), pins).prepare("key", config) == teacher


def test_a_teacher_of_another_normalisation_teaches_and_an_unknown_one_is_refused(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    assert prepare(saved(tmp_path, normalisation="caffe"))
    file = saved(tmp_path, normalisation="minus one to one")
    text = one_line(lambda: prepare(file))
    assert "normalisation 'minus one to one' is none of imagenet, caffe" in text


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
        self.end = RunResult("completed", report(20, 0.6))
        self.finished = True
        self.client: Any = None
        self.commit = "abc"
        self.update = lambda record: None
        monkeypatch.setattr(Loop, "run", lambda loop, *_, **__: self._run(loop._source))
        monkeypatch.setattr(trained_once, "find", lambda client, print_: self.known.get(print_))
        monkeypatch.setattr(trained_once, "register", self._register)
        self.fetched: list[str] = []
        monkeypatch.setattr(given_teacher, "fetch", self._fetch)

    def _fetch(self, uri: str) -> Path:
        self.fetched.append(uri)
        return self.folder / "teacher.safetensors"

    def deliver(self) -> bool:
        return True

    def run_of(self, name: str, study: str | None) -> str:
        return f"run of {name}"

    def _run(self, source: Any) -> bool:
        job = source.next()
        self.trained.append(job)
        if self.finished:
            file = saved(self.folder, model=job.config.pair.student)
            storage.write_bytes(storage.join(job.folder, STUDENT_FILE), file.read_bytes())
            source.end(job, self.end)
        return self.finished

    def _register(self, client: Any, version: Any, weights: bytes) -> str:
        self.known[version.tags["fingerprint"]] = f"models:/{version.name}/1"
        return "1"


def trained(registry: Registry, digest: str = "digest") -> Teachers:
    return Teachers(session(registry, digest), Cluster(4, 0, 1))


@pytest.fixture
def registry(
    measured: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Registry:
    return Registry(monkeypatch, tmp_path)


def test_teacher_is_trained_once_and_found_by_every_later_study(registry: Registry) -> None:
    first = trained(registry).prepare("key", trial())
    again = trained(registry).prepare("key", trial(training__lr=0.3))
    assert first == again
    assert len(registry.trained) == 1
    trained(registry, "other data").prepare("key", trial())
    assert len(registry.trained) == 2


def test_what_training_a_teacher_took_is_known_whatever_came_of_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained_once.pulse, "attempts", lambda folder: (attempt(1800.0, 0.0),) * 2)
    registry.finished = False
    first = trained(registry)
    assert not first.is_there("key", trial())
    first.prepare("key", trial())
    assert list(first.cost.values()) == [1.0]
    registry.finished = True
    trained(registry).prepare("key", trial())
    later = trained(registry)
    assert later.is_there("key", trial())
    later.prepare("key", trial())
    assert later.cost == {}  # another study paid for it
    assert later.is_there("other", trial(pair__teacher={"weights": "t.safetensors"}))


def test_teacher_trains_on_the_whole_host_as_a_plain_run(registry: Registry) -> None:
    trained(registry).prepare("key", trial())
    (job,) = registry.trained
    assert job.config.resources.cpus_per_worker == 4
    assert job.config.distiller.method == "none"
    assert job.config.training == trial().pair.teacher.train
    assert job.teacher is None


def test_interrupted_training_is_no_teacher_and_no_error(registry: Registry) -> None:
    registry.finished = False
    assert trained(registry).prepare("key", trial()) is None
    assert not registry.known


def test_failed_training_tells_its_cause(registry: Registry) -> None:
    registry.end = RunResult("infeasible", None, "loss term task is not finite")
    text = one_line(lambda: trained(registry).prepare("key", trial()))
    assert text == "teacher pspnet-resnet10t: training failed: loss term task is not finite"
    assert not registry.known


def test_record_of_a_measurement_is_plain_json(measured: SimpleNamespace, tmp_path: Path) -> None:
    teacher = prepare(saved(tmp_path))
    (record,) = Path(teacher.weights).parent.glob("*.json")
    assert json.loads(record.read_text())["value"] == 0.6


def test_weights_that_change_while_a_study_lives_are_refused(
    measured: SimpleNamespace, tmp_path: Path
) -> None:
    file = saved(tmp_path)
    config = trial(pair__teacher={"weights": str(file)})
    first = Teachers(session(), Cluster(2, 0, 1))
    sha256 = first.prepare("key", config).sha256
    pins = {key: vars(pin) for key, pin in first.pins.items()}
    assert pins == {"key": {"model": str(file), "sha256": sha256}}
    assert Teachers(session(), Cluster(2, 0, 1), pins).prepare("key", config).sha256 == sha256
    saved(tmp_path, miou=0.5)
    text = one_line(lambda: Teachers(session(), Cluster(2, 0, 1), pins).prepare("key", config))
    assert f"changed since the study began (sha256 {sha256[:12]}, now" in text


def test_an_alias_is_looked_up_once_in_a_study(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(registry.folder)
    aliases = {"best": "3"}
    registry.client = SimpleNamespace(
        get_model_version_by_alias=lambda name, alias: SimpleNamespace(version=aliases[alias])
    )
    config = trial(pair__teacher={"weights": "models:/street@best"})
    first = trained(registry)
    first.prepare("key", config)
    aliases["best"] = "4"
    for copy in (registry.folder / "storage" / "teachers").glob("*.safetensors"):
        copy.unlink()  # else it would not even be asked for
    later = Teachers(
        session(registry), Cluster(4, 0, 1), {k: vars(pin) for k, pin in first.pins.items()}
    )
    later.prepare("key", config)
    assert registry.fetched == ["models:/street/3"] * 2


def test_a_study_goes_on_with_its_copy_where_the_origin_is_gone(registry: Registry) -> None:
    """After an import elsewhere, or when MLflow was lost."""
    first = trained(registry)
    teacher = first.prepare("key", trial())
    registry.known.clear()
    pins = {key: vars(pin) for key, pin in first.pins.items()}
    again = Teachers(session(registry, "digest"), Cluster(4, 0, 1), pins).prepare("key", trial())
    assert again == teacher
    assert len(registry.trained) == 1
