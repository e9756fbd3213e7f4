"""`run_study` from its file to its end, on a cluster that does nothing."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.environment import study_database
from afdcd.search import conclude as module
from afdcd.search import run_study as run_module
from afdcd.search.arena import arena_of
from afdcd.search.conclude import Conclusion
from afdcd.search.kept import kept_study
from afdcd.search.ledger import other_hours, worked_hours
from afdcd.search.load import SearchSpace, load_space
from afdcd.search.operate import enqueue
from afdcd.search.records import CHOSEN, study_record
from afdcd.search.run_study import run_study
from afdcd.search.teachers import Teachers
from afdcd.search.winners import Registered
from afdcd.training import journal
from afdcd.training.job import Job
from tests.search import virtual
from tests.search.drivers import another_driver
from tests.search.studies import report
from tests.search.virtual import Tracker, drive, failing, install, to_the_end

SPACE = """
data: {dataset: synthetic, root: ROOT, crop: [64, 64]}
pair: {student: {head: pspnet, encoder: "timm:lcnet_050"}}
training: {iterations: 8, validate_every: 2, batch: 4, lr: {choice: [0.01, 0.02, 0.04]}}
study:
  trials: 3
  proof: {seeds: 0}
  enqueue: [{training: {lr: 0.02}}]
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("data"))
    prepare_synthetic(root, SyntheticConfig(height=64, width=64, train=36, val=1, test=1))
    return root


@pytest.fixture
def tracker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tracker:
    monkeypatch.setenv("AFDCD_STORAGE", str(tmp_path / "storage"))
    (tmp_path / "storage").mkdir()
    monkeypatch.setattr(module, "register_best", _register)
    monkeypatch.setattr(module, "trouble_with", lambda weights, identity: None)
    drive(monkeypatch, by_rate)
    return install(monkeypatch)


def _register(record: Any, model: Any, winners: list[Any], *_: Any, **__: Any) -> Registered:
    return Registered(model or record.name, "candidate", [{} for _ in winners], [])


def by_rate(job: Job) -> list[dict[str, Any]]:
    return to_the_end(job, job.config.training.lr)


def space(folder: Path, shards: str, *overrides: str, text: str = SPACE) -> SearchSpace:
    file = folder / "street.yaml"
    file.write_text(text.replace("ROOT", shards))
    return load_space(str(file), list(overrides))


def outcomes(conclusion: Conclusion) -> list[tuple[int, str]]:
    return [(row.run.trial, row.outcome) for row in conclusion.rows]


def test_a_study_runs_to_its_end_and_tells_mlflow(
    tracker: Tracker, shards: str, tmp_path: Path
) -> None:
    conclusion = run_study(space(tmp_path, shards))
    assert conclusion.finished
    assert [winner.score.value for winner in conclusion.winners] == [0.04, 0.02, 0.01]
    assert conclusion.winners[0].config.training.lr == 0.04
    assert conclusion.winners[0].ran.run == f"run of trial-{conclusion.winners[0].number:04d}"
    last = tracker.studies[-1]
    assert (last.outcome, last.metrics["miou"], last.metrics["runs_completed"]) == (
        "completed",
        0.04,
        3,
    )
    assert len({record.id for record in tracker.studies}) == 1
    assert tracker.studies[1].metrics["runs_running"] == 0  # between two runs, and not as it was
    assert last.metrics["runs_running"] == 0
    assert last.metrics["device_hours"] == pytest.approx(3 * 36.0 / 3600)


def test_a_study_ends_when_its_budget_is_spent_with_what_there_is(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = 1 / 3600

    def drawing(*given: Any, **_: Any) -> Registered:
        cluster.measured(measured)
        return _register(*given)

    @contextlib.contextmanager
    def connected(told: Any) -> Iterator[Any]:
        cluster.measured = told
        yield cluster

    cluster = virtual.cluster()
    monkeypatch.setattr(run_module, "connect", connected)
    monkeypatch.setattr(module, "register_best", drawing)
    limited = ["study.budget.device_hours=0.025", "study.proof.seeds=0"]  # a run takes 36 s
    conclusion = run_study(space(tmp_path, shards, *limited))
    assert conclusion.finished
    assert outcomes(conclusion) == [(0, "completed"), (1, "completed")]
    assert len(conclusion.winners) == 2
    (note,) = conclusion.notes
    assert note.startswith("the study ended for its budget: study.budget.device_hours 0.025: 0.02 ")
    kept = kept_study("street")
    assert study_record(kept.study, kept.entries()).metrics["device_hours"] == pytest.approx(
        2 * 36 / 3600 + measured
    )
    assert 0 < worked_hours(kept.study) < 1


def test_a_teacher_that_is_trained_for_a_study_is_in_its_ledger(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(self: Teachers, key: str, config: Any) -> None:
        self.cost["teacher-a"] = 0.5  # interrupted, and paid for nevertheless

    monkeypatch.setattr(Teachers, "prepare", prepare)
    train = "train: {iterations: 8, validate_every: 2, batch: 4}"
    teacher = f"pair.teacher={{model: {{head: pspnet, encoder: 'timm:lcnet_050'}}, {train}}}"
    assert not run_study(space(tmp_path, shards, teacher, "distiller.method=kd")).finished
    assert other_hours(kept_study("street").study.user_attrs) == 0.5


def test_a_budget_that_cannot_pay_for_its_references_is_told_before_anything_is_paid(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(monkeypatch, lambda job: pytest.fail("it was paid for"))
    with pytest.raises(UserError) as error:
        limits = ("study.budget.device_hours=0.0001", "study.proof.seeds=5")
        run_study(space(tmp_path, shards, *limits))
    (line,) = str(error.value).splitlines()
    assert "study.budget.device_hours: 0.0001 h cannot pay for references " in line
    assert ", proof " in line


def test_all_runs_of_a_study_take_their_choices_from_its_folder(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    def noted_by_rate(job: Job) -> list[dict[str, Any]]:
        jobs.append(job)
        return by_rate(job)

    drive(monkeypatch, noted_by_rate)
    run_study(space(tmp_path, shards))
    folder = str(tmp_path / "storage" / "studies" / "street" / "choices")
    assert [job.choices for job in jobs] == [folder] * 3


def test_an_interrupted_study_goes_on(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def stop_at_the_second(job: Job) -> list[dict[str, Any]] | None:
        begun.append(job.name)
        return by_rate(job) if len(begun) == 1 else None

    drive(monkeypatch, stop_at_the_second)
    conclusion = run_study(space(tmp_path, shards))
    assert not conclusion.finished
    assert outcomes(conclusion) == [(0, "completed"), (1, "running")]
    assert tracker.studies[-1].outcome == "killed"
    drive(monkeypatch, by_rate)
    assert outcomes(run_study(space(tmp_path, shards))) == [
        (0, "completed"),
        (1, "completed"),
        (2, "completed"),
    ]


def test_what_is_asked_for_while_students_are_registered_is_run_too(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def register(study: Any, *_: Any, **__: Any) -> Registered:
        if not asked:
            asked.append(enqueue(kept_study("street"), "{training: {lr: 0.04, seed: 5}}"))
        return Registered("street", "candidate", [], [])

    monkeypatch.setattr(module, "register_best", register)
    conclusion = run_study(space(tmp_path, shards))
    assert asked[0].endswith("takes it up")
    assert [row.outcome for row in conclusion.rows if row.run.seed == 5] == ["completed"]


def test_a_reference_that_cannot_run_is_told_aloud(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(
        monkeypatch,
        lambda job: failing("not finite") if job.config.training.lr == 0.02 else by_rate(job),
    )
    conclusion = run_study(space(tmp_path, shards))
    assert conclusion.notes == [
        'reference {"training.lr": 0.02} did not complete: not finite',
    ]


def test_a_disk_that_fills_stops_the_study_and_costs_no_trial(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(monkeypatch, lambda job: failing("no space left", "machine"))
    with pytest.raises(UserError, match="3 runs in a row were lost: no space left"):
        run_study(space(tmp_path, shards, "study.trials=9"))
    assert tracker.studies[-1].outcome == "lost"
    drive(monkeypatch, by_rate)
    conclusion = run_study(space(tmp_path, shards, "study.trials=9"))
    assert [row.outcome for row in conclusion.rows].count("completed") == 3
    assert len(conclusion.winners) == 3


def noted(names: list[str], job: Job) -> list[dict[str, Any]]:
    names.append(job.name)
    return by_rate(job)


def test_an_option_that_is_added_goes_on_with_the_same_study(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_study(space(tmp_path, shards))
    names: list[str] = []
    drive(monkeypatch, lambda job: noted(names, job))
    more = SPACE.replace("0.04]", "0.04, 0.08]").replace("trials: 3", "trials: 4")
    conclusion = run_study(space(tmp_path, shards, text=more))
    assert len(names) == 1
    assert conclusion.winners[0].score.value == 0.08
    assert len({record.id for record in tracker.studies}) == 1


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.iterations=16", "training.iterations = 8, here it is 16"),
        ("training.seed=1", "training.seed = 0, here it is 1"),
        ("data.normalisation=caffe", 'data.normalisation = "imagenet", here it is "caffe"'),
        ("data.crop=[32, 64]", "none of the 3 runs that study 'street' has lies in this search"),
    ],
)
def test_what_makes_scores_incomparable_is_refused(
    tracker: Tracker, shards: str, tmp_path: Path, override: str, said: str
) -> None:
    run_study(space(tmp_path, shards))
    with pytest.raises(UserError, match=said):
        run_study(space(tmp_path, shards, override))


def test_a_fresh_database_does_not_take_over_the_folder_of_another_study(
    tracker: Tracker, shards: str, tmp_path: Path
) -> None:
    run_study(space(tmp_path, shards))
    (tmp_path / "storage" / "study.db").unlink()
    with pytest.raises(UserError, match=r"belongs to study .*study\.name="):
        run_study(space(tmp_path, shards, "training.lr=0.5", "study.enqueue=[]"))


def test_a_second_driver_of_one_study_is_refused_while_the_first_lives(
    tracker: Tracker, shards: str, tmp_path: Path
) -> None:
    with (
        another_driver(study_database(), "study street") as name,
        pytest.raises(UserError, match=f"study street is being run by {name} since 20"),
    ):
        run_study(space(tmp_path, shards))


def test_what_is_kept_of_a_study_is_what_mlflow_was_told(
    tracker: Tracker, shards: str, tmp_path: Path
) -> None:
    run_study(space(tmp_path, shards))
    kept = kept_study("street")
    assert kept.record() == tracker.studies[-1]
    assert [run.outcome for run in kept.runs()] == ["completed"] * 3
    assert [run.job.title for run in kept.runs()] == [
        f"trial {entry.first} none" for entry in kept.entries()
    ]
    assert kept.data().to_dictionary() == tracker.data.to_dictionary()
    with pytest.raises(UserError, match=r"no study 'x' in .*: it has street; check the name"):
        kept_study("x")


def test_the_database_is_honest(tracker: Tracker, shards: str, tmp_path: Path) -> None:
    run_study(space(tmp_path, shards))
    study = optuna.load_study(study_name="street", storage=f"sqlite:///{tmp_path}/storage/study.db")
    assert {row.value for row in study.get_trials()} == {0.01, 0.02, 0.04}
    assert study.best_trial.user_attrs["setting"]["training"]["lr"] == 0.04


def test_a_student_whose_weights_are_not_its_own_is_not_registered(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trouble_with(weights: str, identity: str) -> str | None:
        best = kept_study("street").entries()
        (first,) = [e for e in best if e.value == 0.04]
        assert identity in {e.identity for e in best}
        return "it holds another" if identity == first.identity else None

    monkeypatch.setattr(module, "trouble_with", trouble_with)
    conclusion = run_study(space(tmp_path, shards))
    assert [winner.score.value for winner in conclusion.winners] == [0.02, 0.01]
    chosen = [winner.number for winner in conclusion.winners]
    assert kept_study("street").study.user_attrs[CHOSEN] == chosen
    (note,) = conclusion.notes
    assert note.endswith("is not registered: it holds another")


def test_what_a_run_reported_while_nobody_listened_counts(
    tracker: Tracker, shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(monkeypatch, lambda job: journal.write(job.folder, report(2, 0.3)))  # and the driver dies
    run_study(space(tmp_path, shards))
    drive(monkeypatch, lambda job: to_the_end(job)[1:])
    run_study(space(tmp_path, shards))
    assert kept_study("street").entries()[0].curve == {2: 0.3, 4: 0.25, 6: 0.25, 8: 0.25}


def test_the_best_is_proven_before_it_is_registered(
    tracker: Tracker, shards: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interrupted while it is proven, the same command goes on with the same seeds."""
    left = [5]  # runs until Ctrl-C: the three trials, and two of the proof

    def until_interrupted(job: Job) -> list[dict[str, Any]] | None:
        left[0] -= 1
        return None if left[0] < 0 else by_rate_and_seed(job)

    with pytest.MonkeyPatch.context() as patch:
        drive(patch, until_interrupted)
        assert not run_study(space(tmp_path, shards, "study.proof.seeds=3")).finished
    with pytest.MonkeyPatch.context() as patch:
        drive(patch, by_rate_and_seed)
        conclusion = run_study(space(tmp_path, shards, "study.proof.seeds=3"))
    first, second, *_ = conclusion.winners
    told = f"proves trial {first.number}: 3 fresh seeds each of best setting found"
    assert told in capsys.readouterr().out
    assert (first.seed, first.score.value) == (1, 0.041)
    assert first.ran.folder.endswith(f"trials/{first.number:04d}/seed-1")
    assert [ran.seed for ran in first.others] == [2, 3]
    assert first.proof is not None and first.settings == {"training.lr": 0.04}
    assert first.proof.scores("champion") == pytest.approx({1: 0.041, 2: 0.042, 3: 0.043})
    assert second.proof is None and second.number != first.number
    assert [row.run.seed for row in conclusion.rows].count(None) == 3


def by_rate_and_seed(job: Job) -> list[dict[str, Any]]:
    return to_the_end(job, job.config.training.lr + job.config.training.seed / 1000)


def test_an_arena_is_searched_proven_and_reported(
    tracker: Tracker, shards: str, tmp_path: Path
) -> None:
    """Of three learning rates, each with a search of its own, as the database alone tells it."""
    arena = ["study.budget_per=training.lr", "training.weight_decay={log: [1e-5, 1e-3]}"]
    runs = ["study.trials=6", "study.enqueue=[]", "study.proof.seeds=3"]
    conclusion = run_study(space(tmp_path, shards, *arena, *runs))
    assert conclusion.finished and conclusion.winners[0].config.training.lr == 0.04
    found = arena_of(kept_study("street"))
    assert [(row.rival, row.rank, len(row.scores)) for row in found.rows] == [
        ("0.04", 1, 3),
        ("0.02", 2, 3),
        ("0.01", 3, 3),
    ]
    assert [(cost.received, cost.share, cost.runs) for cost in found.costs] == [(2, 2, 5)] * 3
    assert found.failed == [] and found.going == 0
