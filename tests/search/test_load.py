"""Search space files: valid at every corner, errors at the line a person wrote."""

from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.search.check_study import check_study
from afdcd.search.load import SearchSpace, load_space

SPACE = """data: {dataset: synthetic, root: shards, crop: [64, 64]}
pair:
  student: {head: pspnet, encoder: "timm:lcnet_050"}
  teacher:
    model: {head: pspnet, encoder: "timm:resnet10t"}
    train: {iterations: 20, validate_every: 10, batch: 4}
distiller:
  choice:
    - {method: none}
    - method: afdcd
      tau: {log: [0.05, 1.0]}
      groups: {choice: [8, 16]}
      patch: 2
      pool: 0
training: {iterations: 4, validate_every: 2, batch: 4}
study:
  trials: 3
  enqueue:
    - distiller: {method: none}
"""


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str = SPACE, *assignments: str) -> SearchSpace:
        file = tmp_path / "street.yaml"
        file.write_text(text)
        return load_space(str(file), list(assignments))

    return load


def message(load, *arguments: str) -> str:
    with pytest.raises(UserError) as error:
        load(*arguments)
    text = str(error.value)
    return text.replace(text.partition("street.yaml")[0], "")


def test_reads_name_study_and_valid_examples(load) -> None:
    space = load()
    assert (space.name, space.study.trials) == ("street", 3)
    assert {e.distiller.method for e in space.examples} == {"none", "afdcd"}
    assert load(SPACE, "study.name=other", "study.trials=9").name == "other"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("log: [0.05, 1.0]", "uniform: [0.0, 1.0]", "street.yaml:11: distiller.tau: "),
        ("log: [0.05, 1.0]", "uniform: [-1.0, 1.0]", "street.yaml:11: distiller.tau: "),
        ("pool: 0", "pool: {int: [-1, 2]}", "street.yaml:14: distiller.pool: "),
        (
            "pool: 0",
            "poool: 0",
            "street.yaml:14: distiller.poool: unknown key; did you mean 'pool'",
        ),
        ("method: none", "method: nope", "street.yaml:9: distiller.method: 'nope' is not one of"),
        ("trials: 3", "trials: 0", "street.yaml:17: study.trials: "),
        ("trials: 3", "reduction: 1", "street.yaml:17: study.reduction: "),
        ("trials: 3", "grace: 0", "street.yaml:17: study.grace: "),
        ("trials: 3", "trails: 3", "street.yaml:17: study.trails: unknown key; did you mean"),
        ("trials: 3", "name: a/b", "street.yaml:17: study.name: 'a/b'"),
        (
            "batch: 4}\nstudy",
            "batch: {int: [1, 4]}}\nstudy",
            "street.yaml:15: training.batch: each",
        ),
    ],
)
def test_both_ends_and_all_options_are_checked(load, old: str, new: str, line: str) -> None:
    assert SPACE.count(old) >= 1
    assert message(load, SPACE.replace(old, new, 1)).startswith(line)


def test_a_budget_takes_the_place_of_trials_and_contradicts_them_in_no_file(load) -> None:
    budget = SPACE.replace("trials: 3", "budget: {runs: 5, wall_clock: 90m}")
    assert load(budget).rules().trials == 5
    assert load(budget).study.budget.wall_clock == 1.5
    both = SPACE.replace("trials: 3", "trials: 3\n  budget: {runs: 5}")
    text = message(load, both)
    assert text.startswith("street.yaml:17: study.trials: 3, but ")
    assert "street.yaml:18: study.budget.runs says 5" in text
    assert load(both.replace("runs: 5", "runs: 3")).rules().trials == 3


def test_runs_that_cannot_pay_for_the_references_are_refused(load) -> None:
    kd = "    - distiller: {method: afdcd, tau: 0.1, groups: 8}\n"
    two = SPACE.replace("trials: 3", "budget: {runs: 1}") + kd
    with pytest.raises(UserError) as caught:
        check_study(load(two))
    line = "street.yaml:17: study.budget.runs: 1 cannot pay for the 2 settings in study.enqueue"
    assert line in str(caught.value)
    check_study(load(two.replace("runs: 1", "runs: 2")))
    further = "    - {distiller: {method: none}, training: {seed: 1}}\n"  # costs no run
    check_study(load(SPACE.replace("trials: 3", "budget: {runs: 1}") + further))


def test_groups_that_do_not_divide_the_teachers_channels_name_the_blocks_line(load) -> None:
    text = message(load, SPACE.replace("[8, 16]", "[8, 7]"))
    assert text.startswith("street.yaml:10: distiller: ")
    assert "7" in text
    assert "512" in text
    assert len(text.splitlines()) == 1


def test_patch_that_does_not_fit_the_features_is_refused(load) -> None:
    assert "street.yaml:10: distiller: " in message(load, SPACE.replace("patch: 2", "patch: 9"))


def test_reference_outside_the_space_names_its_line(load) -> None:
    text = message(load, SPACE.replace("- distiller: {method: none}", "- distiller: {method: kd}"))
    assert text.startswith("street.yaml:19: study.enqueue.0.distiller: ")


@pytest.mark.parametrize(
    "change",
    [
        "data.protocol={choice: [dev, official]}",
        "data.normalisation={choice: [imagenet, caffe]}",
        "data={choice: [{dataset: synthetic, crop: [64, 64]}, {dataset: synthetic, crop: [96, 96]}]}",
        "training.iterations={choice: [20, 40]}",
        "training.validate_every={choice: [10, 20]}",
        "training.seed={choice: [0, 1]}",
    ],
)
def test_what_runs_are_compared_on_cannot_be_searched(load, change: str) -> None:
    assert "all runs of a study must share it" in message(load, SPACE, change)


def test_a_trained_teacher_learns_from_data_that_are_written(load) -> None:
    """Else it would learn from whichever end of the range came last."""
    change = "data.crop={choice: [[64, 64], [96, 96]]}"
    assert "the teacher is trained once for all runs" in message(load, SPACE, change)
    given = (
        "pair.teacher={weights: t.safetensors, model: {head: pspnet, encoder: 'timm:resnet10t'}}"
    )
    crops = {example.data.crop for example in load(SPACE, change, given).examples}
    assert crops == {(64, 64), (96, 96)}


def test_frame_ignores_what_only_changes_where_and_how_fast(load) -> None:
    known = load().frame("digest")
    same = (
        "resources.workers=2",
        "data.root=/elsewhere",
        "data.loader_workers=2",
        "study.trials=9",
        "training.lr={uniform: [0.1, 0.2]}",  # the space may grow
    )
    for change in same:
        assert load(SPACE, change).frame("digest") == known, change
    assert load().rooted("/prepared").frame("digest") == known


def test_frame_reacts_to_what_makes_scores_incomparable(load) -> None:
    known = load().frame("digest")
    assert load().frame("other") != known
    for change in ("data.normalisation=caffe", "training.seed=3", "data.protocol=official"):
        assert load(SPACE, change).frame("digest") != known, change


def test_rooted_examples_and_space_name_the_prepared_data(load) -> None:
    space = load().rooted("/prepared")
    assert space.space["data"]["root"] == "/prepared"
    assert {example.data.root for example in space.examples} == {"/prepared"}


def test_each_teacher_is_prepared_once(load) -> None:
    assert len(load().with_teachers()) == 1
    teacher = (
        '{model: {head: pspnet, encoder: "timm:resnet10t"}, '
        "train: {iterations: N, validate_every: 10, batch: 4}}"
    )
    written = SPACE[SPACE.index("  teacher:") : SPACE.index("distiller:")]
    options = ", ".join(teacher.replace("N", n) for n in ("20", "40"))
    two = SPACE.replace(written, f"  teacher: {{choice: [{options}]}}\n")
    assert {c.pair.teacher.train.iterations for c in load(two).with_teachers()} == {20, 40}
