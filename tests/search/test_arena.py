"""The rivals side by side: rows, gains, figures and costs, finished or not, from the database alone."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from afdcd.config import UserError
from afdcd.search import wishes
from afdcd.search.arena import Arena, arena_of, published_figure
from afdcd.search.arena_text import plain, told
from afdcd.search.kept import Kept, kept_study
from afdcd.search.ledger import note_other
from afdcd.search.published import CIRKD, Figure
from afdcd.search.study import Study
from tests.examples import trial
from tests.pulses import attempt
from tests.search.studies import completed, lost
from tests.search.test_division import METHODS, divided
from tests.search.test_rivals import arena, planned, run_all


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFDCD_STUDY_DB", f"sqlite:///{tmp_path}/study.db")
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))


def introduced(study: Study, trials: int = 15) -> Study:
    """With what `run_study` notes of the file."""
    key = "distiller.method"
    wishes.introduce(study.study, {"distiller": METHODS}, trials, budget_per=key)
    study.study.set_user_attr("frame", {"data.protocol": "dev"})
    return study


def finished(folder: Path, failing: str = "") -> Study:
    study = introduced(arena(folder, failing=failing))
    planned(study)
    run_all(study)
    return study


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """Of a study that is finished."""
    return arena_of(Kept(finished(tmp_path_factory.mktemp("whole")).study, "folder"))


def found() -> Arena:
    return arena_of(kept_study("s"))


def test_every_rival_has_a_row_for_what_is_published_and_what_was_found(whole: Arena) -> None:
    rows = {row.name: row for row in whole.rows}
    assert rows.keys() == {"none", "kd, published", "kd, found", "mgd, published", "mgd, found"}
    assert all(row.scores.keys() == {1, 2, 3} for row in rows.values())
    assert rows["none"].kind == "baseline" and rows["none"].gain is None
    gain = rows["kd, found"].gain
    assert gain and gain.n == 3 and gain.mean == pytest.approx(0.07, abs=0.003)
    assert rows["kd, found"].setting.distiller.plain()["weight"] > 1


def test_the_best_is_first(whole: Arena) -> None:
    rows = whole.rows
    means = [row.spread.mean for row in rows if row.spread]
    assert means == sorted(means, reverse=True) and rows[0].name == "kd, found"
    text = "\n".join(told(whole))
    assert "rank  method" in text and "first: kd, found; " in text
    assert "all pairs together at 5 % (Holm)" in text


def test_a_gain_whose_interval_holds_zero_says_so(tmp_path: Path) -> None:
    study = introduced(divided(tmp_path, trials=3, sampler="random"), 3)
    for value in (0.4, 0.5, 0.45):
        job = study.next()
        assert job is not None
        study.end(job, completed(value))
    planned(study)
    luck = iter((0.5, 0.4, 0.45, 0.41, 0.49, 0.45, 0.44, 0.46, 0.45))
    while job := study.next():
        study.end(job, completed(next(luck)))
    text = told(found())
    assert sum("points [" in line and "], cannot be told apart" in line for line in text) == 2
    assert any(line.endswith("all other rows cannot be told apart from it") for line in text)
    assert all(row.rank == 1 for row in found().rows)
    assert any(" published = found " in line for line in text)


def test_before_the_proof_it_says_how_far_the_search_is(tmp_path: Path) -> None:
    study = introduced(divided(tmp_path, trials=15))
    for _ in range(3):
        job = study.next()
        assert job is not None
        study.end(job, completed(0.5))
    study.next()
    text = told(found())
    assert "the proof has not begun, so there is nothing to compare yet" in text
    assert (
        "not finished: the search of kd, mgd" in text
        and "begun and not ended: 1 of all runs" in text
    )
    assert any(line.startswith("kd      2 of 7 full runs") for line in text)


def test_a_proof_that_goes_on_says_how_far_it_is(tmp_path: Path) -> None:
    study = introduced(arena(tmp_path))
    planned(study)
    for _ in range(4):
        job = study.next()
        assert job is not None
        study.end(job, completed(0.5))
    text = told(found())
    assert any(line.startswith("not finished: 4 of 15 runs of the proof") for line in text)
    assert "fewer than two rows have three seeds, so none has a rank yet" in text
    assert any(" 0/3 " in line for line in text)
    assert "points, too few seeds as yet" in "\n".join(text) and "inf" not in "\n".join(text)
    assert not any("Holm" in line for line in text)


def test_a_rival_that_failed_is_named_with_its_cause(tmp_path: Path) -> None:
    finished(tmp_path, failing="mgd")
    text = told(found())
    assert "failed: mgd, as it was asked for: infeasible, nan" in text
    (line,) = [line for line in text if line.startswith("mgd ")]
    assert line.split()[1:8] == ["7", "of", "7", "full", "runs", "0", "7"]


def test_costs_are_of_search_and_proof_with_all_lost_work(tmp_path: Path) -> None:
    """Every run takes an hour, and one of kd was lost twice before it was given up."""
    study = introduced(divided(tmp_path, trials=15, sampler="random"))
    study.settings = replace(study.settings, attempts=lambda run: (attempt(3600.0, 0.0),))
    first, second = study.next(), study.next()
    assert first and second and second.config.distiller.method == "kd"
    study.end(first, completed(0.4))
    study.end(second, lost())
    run_all(study)
    planned(study)
    run_all(study)
    costs = {cost.rival: cost for cost in found().costs}
    assert [(c.searched, c.proven) for c in costs.values()] == [(1, 3), (7, 6), (7, 6)]
    assert [costs[name].runs for name in ("none", "kd", "mgd")] == [4, 13, 13]
    assert [(c.received, c.share) for c in costs.values()] == [(1, 1), (7, 7), (7, 7)]
    assert "kd      7 of 7 full runs  " in "\n".join(told(found()))


def test_a_published_score_stands_beside_its_own_method_with_its_source(whole: Arena) -> None:
    given = Figure(0.7421, "val", CIRKD)
    rows = [replace(r, figure=given) if r.name == "none" else r for r in whole.rows]
    text = told(replace(whole, rows=rows))
    (line,) = [line for line in text if " none  " in line]
    assert line.endswith("74.21 % [1]")
    assert f"[1] {CIRKD}" in text
    assert "published scores are of the val split; ours are of val, protocol dev" in text
    assert not any(line.startswith("[1]") for line in told(whole))


@pytest.mark.parametrize(("pretrained", "value"), [(None, 0.6537), ("r18.safetensors", 0.7421)])
def test_which_figure_is_published_follows_from_data_pair_and_start(
    pretrained: str | None, value: float
) -> None:
    model = {"head": "deeplabv3", "encoder": "resnet101"}
    student = {"head": "deeplabv3", "encoder": "resnet18", "pretrained": pretrained}
    config = trial(
        data__dataset="cityscapes",
        pair={"student": student, "teacher": {"model": model, "weights": "t.safetensors"}},
        distiller={"method": "none"},
    )
    figure = published_figure(config)
    assert figure and figure.value == pytest.approx(value)
    unknown = config.updated(pair=config.pair.updated(teacher=None))
    assert published_figure(unknown) is None


def test_what_belongs_to_no_rival_is_told_beside(tmp_path: Path) -> None:
    note_other(introduced(divided(tmp_path)).study, "teacher-deeplabv3", 2.5)
    assert "beside that, for no method alone: teacher-deeplabv3 2.5" in told(found())


def test_json_has_the_same(whole: Arena) -> None:
    said = json.loads(json.dumps(plain(whole), allow_nan=False))
    first = said["rows"][0]
    assert (first["rival"], first["kind"], first["rank"]) == ("kd", "found", 1)
    assert first["interval"][0] < first["mean"] < first["interval"][1]
    assert first["gain_interval"][0] < first["gain"] < first["gain_interval"][1]
    assert said["proof_runs"] == {"completed": 15, "wanted": 15}
    assert [cost["rival"] for cost in said["costs"]] == ["none", "kd", "mgd"]


def test_a_study_that_is_no_arena_is_refused_with_what_to_do(tmp_path: Path) -> None:
    study = divided(tmp_path)
    with pytest.raises(UserError, match=r"no arena; begin one with study\.budget_per"):
        found()
    wishes.introduce(study.study, {"distiller": METHODS}, 15)
    with pytest.raises(UserError, match="no arena"):
        found()
