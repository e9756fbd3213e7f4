"""Other studies' runs: taken once, weighed by how alike they are, and never results of this one."""

from pathlib import Path
from typing import Any

import pytest

from afdcd.config import UserError
from afdcd.search.check_study import check_study
from afdcd.search.load import SearchSpace, load_space
from afdcd.search.open_study import connect, open_study
from afdcd.search.policy.warm import WARM, observations
from afdcd.search.rungs import Rules
from afdcd.search.study import Study
from afdcd.search.warm_start import ALIKE, OTHER_DATA, OTHER_NETWORK, take_over
from tests.search.studies import completed, opened, report, run_to_the_end, settings_of, space_of

SPACE = """
data: {dataset: DATA, root: shards, protocol: dev, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:STUDENT"}, teacher: {weights: t.safetensors}}
distiller: {choice: [{method: none}, {method: kd}]}
training: {iterations: 40, validate_every: 10, batch: 4, lr: {uniform: [LOW, 1.0]}}
study: {trials: 6, warm_start: [NAMES], sampler: SAMPLER, proof: {seeds: 0}}
"""


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path}/study.db"
    monkeypatch.setenv("AFDCD_STUDY_DB", url)
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path))
    return url


def space(folder: Path, **changes: str) -> SearchSpace:
    values = {"DATA": "synthetic", "STUDENT": "lcnet_050", "NAMES": "s", "SAMPLER": "gp"}
    text = SPACE
    for word, value in {**values, "LOW": "1e-9", **changes}.items():
        text = text.replace(word, value)
    file = folder / "new.yaml"
    file.write_text(text)
    return load_space(str(file), [])


def earlier(folder: Path, count: int = 8) -> Study:
    """A study that has found out that a learning rate near 0.8 is best."""
    study = opened(folder, trials=count, rungs=(), sampler="random")
    while job := study.next():
        value = 0.5 - (job.config.training.lr - 0.8) ** 2
        study.report(job, report(40, value))
        study.end(job, completed(value))
    return study


def test_what_another_study_found_is_taken_once(tmp_path: Path, database: str) -> None:
    before = earlier(tmp_path)
    new = connect(database, "new")
    (line,) = take_over(new, space(tmp_path))
    assert line.startswith("begins with what 8 runs of study 's' say")
    found = observations(new)
    best = max(found, key=lambda one: one.score)
    top = before.best()[0]
    assert best.values == top.searched and best.score > 0
    run_to_the_end(opened(tmp_path, trials=9, rungs=(), sampler="random"), 0.9)
    assert (
        take_over(new, space(tmp_path)) == []
    )  # else proposals would depend on when it was opened
    assert observations(new) == found


def test_it_is_no_result(tmp_path: Path, database: str) -> None:
    earlier(tmp_path)
    new = connect(database, "new")
    take_over(new, space(tmp_path))
    assert new.get_trials() == []
    study = open_study(new, settings_of(space_of()), Rules(trials=3), [], 0, "new.yaml")
    assert study.best(9) == [] and study.counted() == 0
    for _ in range(3):
        run_to_the_end(study, 0.1)
    assert len(study.best(9)) == 3


def test_the_first_proposals_go_where_the_other_study_found_the_best(
    tmp_path: Path, database: str
) -> None:
    earlier(tmp_path, 20)

    def rates(name: str, warm: bool) -> list[float]:
        new = connect(database, name)
        if warm:
            take_over(new, space(tmp_path))
        study = open_study(new, settings_of(space_of()), Rules(trials=4), [], 1, "new.yaml")
        return [run_to_the_end(study, 0.3).config.training.lr for _ in range(3)]

    def off(found: list[float]) -> float:
        return sum(abs(rate - 0.8) for rate in found) / len(found)

    assert off(rates("warm", True)) < 0.15 < off(rates("cold", False))


def test_the_less_alike_the_less_it_says(tmp_path: Path, database: str) -> None:
    earlier(tmp_path)

    def noise(name: str, **changes: str) -> float:
        new = connect(database, name)
        take_over(new, space(tmp_path, **changes))
        (found,) = {one.noise for one in observations(new)}
        return found

    same = noise("same", STUDENT="lcnet_050")
    assert same >= ALIKE
    assert noise("other data", DATA="camvid") == pytest.approx(same + OTHER_DATA)
    assert noise("other student", STUDENT="lcnet_100") == pytest.approx(same + OTHER_NETWORK)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"NAMES": "nobody"}, r"no study 'nobody' in .*: it has new, s; check the name"),
        ({"NAMES": "new"}, "study.warm_start: new is this study itself; leave it out"),
        (
            {"LOW": "0.999999"},
            "none of the 8 completed runs of study 's' lies in this search space",
        ),
    ],
)
def test_what_cannot_be_taken_is_one_line(
    tmp_path: Path, database: str, changes: dict[str, str], said: str
) -> None:
    earlier(tmp_path)
    with pytest.raises(UserError, match=said):
        take_over(connect(database, "new"), space(tmp_path, **changes))


def test_a_study_of_another_task_is_refused(tmp_path: Path, database: str) -> None:
    earlier(tmp_path)
    new: Any = connect(database, "new", higher_is_better=False)
    with pytest.raises(UserError, match=r"new.yaml:\d+: study.warm_start: study 's' is of another"):
        take_over(new, space(tmp_path))
    assert WARM not in new.user_attrs


def test_a_study_of_another_task_with_the_same_direction_is_refused_too(
    tmp_path: Path, database: str
) -> None:
    earlier(tmp_path)
    new: Any = connect(database, "new")
    new.set_user_attr("frame", {"task": "depth"})
    with pytest.raises(UserError, match="study 's' is of another task"):
        take_over(new, space(tmp_path))


def test_only_the_model_learns_from_others(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"study.warm_start: only study.sampler: gp learns from"):
        check_study(space(tmp_path, SAMPLER="random"))
