"""What defines a run: its fingerprint, its rules, and what only the networks' shapes can tell."""

from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.training import trial as trials
from afdcd.training.shapes import check_shapes
from afdcd.training.trial import TrialConfig
from tests.examples import STUDENT, trial


@pytest.mark.parametrize(
    "change",
    [
        {"resources__workers": 2},
        {"resources__cpus_per_worker": 4.0},
        {"resources__device": "cpu"},
        {"data__root": "s3://bucket/shards"},
        {"data__loader_workers": 3},
        {"training__compile": "on"},
        {"pair__name": "small"},
        {"pair__teacher__train__compile": "off"},
    ],
)
def test_fingerprint_ignores_labels_and_where_and_how_fast_it_runs(change: dict[str, Any]) -> None:
    assert trial(**change).fingerprint("digest") == trial().fingerprint("digest")
    assert trial(**change).fingerprint("digest", "sha") == trial().fingerprint("digest", "sha")


def test_fingerprint_reacts_to_the_teachers_weights_and_not_to_where_they_come_from() -> None:
    weights = {"weights": "models:/t@champion"}
    known = trial().fingerprint("digest", "sha")
    assert trial().fingerprint("digest", "other") != known
    assert trial().fingerprint("digest") != known
    assert trial(pair__teacher=weights).fingerprint("digest", "sha") == known


def test_fingerprint_of_a_plain_run_knows_no_teacher() -> None:
    """Which is shown in its picture and no more."""
    plain = {"distiller": {"method": "none"}}
    known = trial(**plain).fingerprint("digest")
    assert trial(**plain).fingerprint("digest", "sha") == known
    assert trial(**plain, pair__teacher=None).fingerprint("digest") == known
    assert trial(**plain, pair__teacher__train__lr=0.5).fingerprint("digest") == known


def test_fingerprint_knows_what_the_same_setting_computes_today(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = trial().fingerprint("digest")
    monkeypatch.setattr(trials, "SEMANTICS", trials.SEMANTICS + 1)
    assert trial().fingerprint("digest") != known


@pytest.mark.parametrize(
    "change",
    [
        {"data__protocol": "official"},
        {"data__crop": [64, 96]},
        {"data__flip": False},
        {"data__normalisation": "caffe"},
        {"pair__student": {**STUDENT, "aux": False}},
        {"pair__teacher__model__encoder": "timm:resnet14t"},
        {"pair__teacher__train__lr": 0.5},
        {"distiller": {"method": "none"}},
        {"distiller__tau": 0.5},
        {"training__iterations": 6},
        {"training__lr": 0.011},
        {"training__precision": "bf16"},
        {"training__seed": 1},
    ],
)
def test_fingerprint_reacts_to_all_else(change: dict[str, Any]) -> None:
    assert trial(**change).fingerprint("digest") != trial().fingerprint("digest")


def test_fingerprint_reacts_to_the_data_and_not_to_spelled_out_defaults() -> None:
    known = trial().fingerprint("digest")
    assert trial().fingerprint("other") != known
    written = {
        "data__scale": [0.5, 2.0],
        "distiller__kd_weight": trial().distiller.kd_weight,
        "pair__student__aux": True,
        "training__momentum": 0.9,
    }
    assert trial(**written).fingerprint("digest") == known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training__validate_every": 3}, "iterations 4 must be a multiple of validate_every 3"),
        ({"pair__teacher": None}, "method 'afdcd' needs pair.teacher"),
        ({"resources__workers": 3}, "training.batch: 4 must be divisible by resources.workers 3"),
        ({"resources__workers": 4}, "each worker needs at least 2 images"),
        ({"pair__teacher__train__batch": 1}, "each worker .* raise it"),
        (
            {"pair__teacher__train__accumulate": 3},
            "pair.teacher.train.accumulate: 3 must divide the 4 images of a worker",
        ),
        ({"pair__teacher": {"model": STUDENT}}, "give either weights"),
        ({"pair__teacher__weights": "t.safetensors"}, "give either weights"),
        ({"pair__teacher__model": None}, "train needs model"),
        ({"training__momentum": 1.0}, "training.momentum"),
        ({"training__lr": 0.0}, "training.lr"),
        ({"training__lr": float("inf")}, "training.lr"),
        ({"training__seed": -1}, "training.seed"),
        ({"data__crop": [16, 64]}, "crop .* too small"),
    ],
)
def test_rules_are_told_with_values_and_remedy(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        trial(**change)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"distiller__groups": 7}, "7"),
        ({"distiller__patch": 9}, "9"),
        ({"distiller__patch": 2, "distiller__pool": 8}, "2"),
    ],
)
def test_shapes_that_do_not_fit_are_found_without_training(
    change: dict[str, Any], message: str
) -> None:
    check_shapes(trial(), 8)
    with pytest.raises(ValueError, match=message):
        check_shapes(trial(**change), 8)


def test_shapes_are_those_of_the_teacher_that_came_with_its_weights() -> None:
    bare = trial(pair__teacher={"weights": "models:/t@champion"}, distiller__groups=7)
    check_shapes(bare, 8)  # nothing is known of the teacher yet
    with pytest.raises(ValueError, match="7"):
        check_shapes(bare, 8, trial().pair.teacher.model)


def test_teachers_run_has_the_same_data_its_own_recipe_and_no_distiller() -> None:
    teacher = trial(data__crop=[96, 96]).teacher_trial()
    assert teacher.data.crop == (96, 96)
    assert teacher.pair.student.encoder == "timm:resnet10t"
    assert teacher.pair.teacher is None
    assert teacher.training.iterations == 20
    assert teacher.distiller.method == "none"


def test_trials_that_differ_in_the_student_alone_share_their_teacher() -> None:
    prints = {
        config.teacher_trial().fingerprint("digest")
        for config in (trial(), trial(training__lr=0.5), trial(distiller={"method": "kd"}))
    }
    assert len(prints) == 1


def test_label_names_the_pair() -> None:
    assert trial().pair.label == "pspnet-resnet10t > pspnet-lcnet_050"
    weights = {"weights": "models:/t@champion"}
    assert trial(pair__teacher=weights).pair.label == "models:/t@champion > pspnet-lcnet_050"
    assert trial(pair__teacher=None, distiller={"method": "none"}).pair.label == "pspnet-lcnet_050"


def test_a_share_of_pictures_that_a_run_never_sees_makes_it_no_other_run() -> None:
    def share(value: float | None, **change: Any) -> TrialConfig:
        return trial(training__unlabelled_share=value, **change)

    plain: dict[str, Any] = {"distiller": {"method": "none"}}
    assert share(0.5, **plain).fingerprint("digest") == share(None, **plain).fingerprint("digest")
    assert share(0.5, **plain).unlabelled_share == 0.0
    assert share(0.5).fingerprint("digest") != share(None).fingerprint("digest")
    assert share(0.5).unlabelled_share == 0.5
