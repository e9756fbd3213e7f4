"""The loop of one worker, with Ray Train's functions replaced: reports, resumption, divergence."""

import itertools
import json
import math
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray.train
import ray.train.torch
import torch
from torch import Tensor, nn

from afdcd import storage
from afdcd.config import UserError
from afdcd.data.catalog.datasets import DATASETS
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.distillers.base import Distiller
from afdcd.distillers.context import StepContext
from afdcd.models.outputs import Output
from afdcd.models.weights import NetworkCard, save_network
from afdcd.training import journal, pulse, run, worker
from afdcd.training.artifacts import PANEL_FILE, STUDENT_FILE, load_from
from afdcd.training.checkpoint import Position, load_checkpoint, save_checkpoint
from afdcd.training.job import TEACHER, Failure, Job, message_of
from afdcd.training.learner import Learner
from afdcd.training.optim import build_optimizer, state_of
from afdcd.training.resume import newest_checkpoint
from tests.examples import job
from tests.training.networks import CLASSES, BreaksBackward, build_pair

CPU = torch.device("cpu")
RUN = "a" * 64
PLAIN: dict[str, Any] = {"distiller": {"method": "none"}, "data__protocol": "official"}


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = str(tmp_path_factory.mktemp("shards"))
    prepare_synthetic(root, SyntheticConfig(height=64, width=80, train=6, val=3, test=1))
    return root


@pytest.fixture
def given(shards: str, tmp_path: Path) -> Job:
    """A job with its teacher's file."""
    changes = {
        "data__root": shards,
        "data__protocol": "official",
        "pair__teacher__model__encoder": "timm:mobilenetv3_small_050",
    }
    plain = job(folder=str(tmp_path / "job"), **changes)
    model = plain.config.pair.teacher.model
    dataset = DATASETS["synthetic"]
    torch.manual_seed(5)
    card = NetworkCard(
        model=model,
        dataset="synthetic",
        classes=dataset.classes,
        palette=dataset.palette,
        normalisation="imagenet",
    )
    file = tmp_path / "teacher.safetensors"
    save_network(file, model.build(CLASSES), card)
    return plain.updated(inputs={TEACHER: str(file)})


class Reports(list):
    """What the loop reported; `checkpoint` is the folder of the last one.

    `remembered` is what Ray Train itself offers.
    """

    checkpoint: Path | None = None
    remembered: Any = None


def attempt(given: Job) -> None:
    """What a worker does that goes on from where the last one was."""
    worker.train_loop(given.updated(checkpoint=newest_checkpoint(given.folder)).plain())


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Reports:
    return listening(monkeypatch, tmp_path)


def listening(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Reports:
    """What takes Ray Train's place, for a job in a folder below this one."""
    heard = Reports()

    def report(metrics: dict, checkpoint: Any = None, checkpoint_dir_name: str = "") -> None:
        heard.append(json.loads(metrics["said"]))  # a text: Tune flattens what is nested
        if checkpoint:
            heard.checkpoint = folder / "job" / "train" / checkpoint_dir_name
            checkpoint.to_directory(str(heard.checkpoint))

    context = SimpleNamespace(get_world_size=lambda: 1, get_world_rank=lambda: 0)
    monkeypatch.setattr(ray.train, "get_context", lambda: context)
    monkeypatch.setattr(ray.train, "get_checkpoint", lambda: heard.remembered)
    monkeypatch.setattr(ray.train, "report", report)
    monkeypatch.setattr(ray.train, "get_preemption_info", lambda: None)
    monkeypatch.setattr(ray.train.torch, "get_device", lambda: CPU)
    return heard


def test_run_reports_each_validation_and_leaves_student_and_picture(
    given: Job, reports: Reports
) -> None:
    worker.train_loop(given.plain())
    assert [report["iteration"] for report in reports] == [2, 4]
    assert [report["curve"]["iteration"] for report in reports] == [[1, 2], [3, 4]]
    assert set(reports[0]["curve"]) == {
        *("iteration", "task", "aux", "kd", "fd", "contrast", "total", "lr")
    }
    assert [report["notes"] for report in reports] == [{"projector": "dense"}] * 2
    student, card = load_from(storage.join(given.folder, STUDENT_FILE))
    assert card.miou == reports[-1]["score"]["value"]
    assert card.split == "official/val"
    assert card.parameters == sum(p.numel() for p in student.parameters())
    assert storage.read_bytes(storage.join(given.folder, PANEL_FILE)).startswith(b"\x89PNG")
    assert journal.read(given.folder) == [
        message_of({"said": json.dumps(report)}) for report in reports
    ]


def test_curve_has_the_terms_of_its_own_iterations(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.train_loop(given.plain())
    every = [report["curve"] for report in reports]
    monkeypatch.setattr(worker, "LOG_POINTS", 1)
    worker.train_loop(given.plain())
    for all_points, last in zip(every, [report["curve"] for report in reports[2:]], strict=True):
        assert last == {name: values[1:] for name, values in all_points.items()}


def test_killed_and_resumed_run_equals_the_uninterrupted_one(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker.train_loop(given.plain())
    whole = load_from(storage.join(given.folder, STUDENT_FILE))[0].state_dict()
    straight, reports[:] = list(reports), []
    storage.remove_folder(storage.join(given.folder, "train"))

    def killed(run: Any) -> dict:
        if run.position.iteration == 4:
            raise KeyboardInterrupt
        return validate(run)

    validate = worker._validate
    monkeypatch.setattr(worker, "_validate", killed)
    with pytest.raises(KeyboardInterrupt):
        worker.train_loop(given.plain())
    monkeypatch.setattr(worker, "_validate", validate)
    torch.manual_seed(99)  # another process draws from another state
    attempt(given)
    assert [report["iteration"] for report in reports] == [2, 4]
    resumed = load_from(storage.join(given.folder, STUDENT_FILE))[0].state_dict()
    assert all(value.equal(resumed[name]) for name, value in whole.items())
    assert reports[-1]["score"] == straight[-1]["score"]
    assert reports[-1]["curve"] == straight[-1]["curve"]
    assert reports[-1]["seconds"] > reports[0]["seconds"]
    left = [path.name for path in (tmp_path / "job" / "train").iterdir()]
    assert left == ["iteration_000004"]  # of which Ray Train does not know is not left behind


def drain_at(monkeypatch: pytest.MonkeyPatch, *steps: int) -> None:
    """Ray Train says at these steps that a node is drained: iterations and images, in their order."""
    past = itertools.count(1)

    def step(notice: Any) -> str:
        return "node 10.0.0.3 is being drained" if next(past) in steps else ""

    monkeypatch.setattr(worker.Notice, "step", step)


LONG = {"iterations": 8, "validate_every": 4, "batch": 2}
# At which steps, and what is saved then. The steps of the whole run: 4 iterations, 3 images, and both
# again.
MOMENTS = {
    "between two points of the curve": ([3], ["drained_000003"]),
    "in its first iteration": ([1], ["drained_000001"]),
    "before a validation": ([4], ["drained_000004"]),
    "while it is validated": ([6], ["drained_000004"]),
    "in the last validation": ([13], ["drained_000008"]),
    "twice": ([1, 3], ["drained_000001", "drained_000003"]),
    "again where nothing new is to be saved": ([5, 6], ["drained_000004", "drained_000004"]),
}


@dataclass
class Undisturbed:
    """A run from its first to its last iteration."""

    job: Job
    reports: list[dict[str, Any]]
    weights: dict[str, Tensor]


@pytest.fixture(scope="module")
def undisturbed(shards: str, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    plain = job(folder=str(folder / "job"), **PLAIN, data__root=shards, training=LONG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "LOG_POINTS", 2)
        heard = listening(patch, folder)
        worker.train_loop(plain.plain())
    weights = load_from(storage.join(plain.folder, STUDENT_FILE))[0].state_dict()
    return Undisturbed(plain, [timeless(one) for one in heard], weights)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_drained_run_is_saved_at_once_and_ends_as_the_undisturbed_one(
    undisturbed: Undisturbed,
    reports: Reports,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    moment: str,
) -> None:
    steps, saved = MOMENTS[moment]
    moved = undisturbed.job.updated(folder=str(tmp_path / "job"))
    monkeypatch.setattr(worker, "LOG_POINTS", 2)  # a point every two iterations
    drain_at(monkeypatch, *steps)
    for name in saved:
        attempt(moved)
        failure = message_of({"said": json.dumps(reports.pop())})
        assert failure == Failure(
            failed="node 10.0.0.3 is being drained", fault="drain", iteration=int(name[-6:])
        )
        assert newest_checkpoint(moved.folder) == storage.join(moved.folder, "train", name)
        torch.manual_seed(99)  # another process draws from another state
    attempt(moved)
    assert [
        timeless(one) for one in reports
    ] == undisturbed.reports  # curves with all of their points
    weights = load_from(storage.join(moved.folder, STUDENT_FILE))[0].state_dict()
    assert all(value.equal(weights[name]) for name, value in undisturbed.weights.items())
    assert len(pulse.attempts(moved.folder)) == len(saved) + 1
    left = [path.name for path in Path(moved.folder, "train").iterdir()]
    assert "iteration_000008" in left
    assert not [name for name in left if name.startswith("drained")]


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in report.items() if k not in ("at", "seconds", "device_seconds")}


def test_workers_that_ray_train_starts_anew_go_on_from_what_they_reported(
    given: Job, reports: Reports
) -> None:
    """The checkpoint that the attempt began from is gone by then."""
    gone = given.updated(checkpoint=storage.join(given.folder, "train", "iteration_000002"))
    worker.train_loop(given.plain())
    storage.remove_folder(gone.checkpoint)
    reports.remembered = ray.train.Checkpoint.from_directory(str(reports.checkpoint))
    worker.train_loop(gone.plain())
    assert [report["iteration"] for report in reports] == [2, 4, 4]


@pytest.mark.parametrize("times", [1, 2])
def test_run_called_again_after_its_last_report_reports_it_again(
    given: Job, reports: Reports, times: int
) -> None:
    worker.train_loop(given.plain())
    first, kept = dict(reports[-1]), _files(reports.checkpoint)
    before = journal.read(given.folder)
    for _ in range(times):
        storage.write_bytes(storage.join(given.folder, STUDENT_FILE), b"cut sh")
        attempt(given)
        assert reports[-1] == first  # its curve too
    assert len(reports) == 2 + times
    assert _files(reports.checkpoint) == kept
    assert journal.read(given.folder) == before
    load_from(storage.join(given.folder, STUDENT_FILE))


def _files(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_checkpoint_of_another_setting_is_not_taken_up(given: Job, reports: Reports) -> None:
    worker.train_loop(given.plain())
    config = given.config.updated(training=given.config.training.updated(lr=0.5))
    identity = config.fingerprint("data", "teacher")
    with pytest.raises(UserError, match="checkpoint of another run"):
        attempt(given.updated(config=config, identity=identity))
    assert len(reports) == 2


def test_a_report_is_in_the_journal_before_it_is_made(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill between the two must not leave a checkpoint without its line."""

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ray.train, "report", killed)
    with pytest.raises(KeyboardInterrupt):
        worker.train_loop(given.plain())
    assert [line.iteration for line in journal.read(given.folder)] == [2]


def test_no_picture_is_a_warning_and_not_the_end(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("no room\n  on the device")

    monkeypatch.setattr(run, "save_panel", fails)
    worker.train_loop(given.plain())
    assert reports[-1]["iteration"] == 4
    assert reports.checkpoint is not None
    assert [r.getMessage() for r in caplog.records] == [f"{given.title}: no picture: no room"]
    notes = [line.notes for line in journal.read(given.folder)]  # from which MLflow is made
    assert [note.get("picture") for note in notes] == [None, "missing: no room"]


def test_run_says_how_far_it_is(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[pulse.Pulse] = []
    monkeypatch.setattr(pulse, "write", lambda folder, one: heard.append(one))
    monkeypatch.setattr(pulse, "Mailbox", Straight)
    worker.train_loop(given.plain())
    found = [(one.phase, one.iteration) for one in heard]
    assert found == [
        ("starting", 0),
        *(("training", 1), ("validating", 2)),
        *(("training", 3), ("validating", 4)),
        ("validating", 4),  # its last moment, for the ledger
    ]
    losses = [report["curve"]["total"] for report in reports]
    assert [one.loss for one in heard] == [
        None,
        None,
        losses[0][1],
        losses[0][1],
        *[losses[1][1]] * 2,
    ]


def test_a_run_goes_on_where_no_pulse_can_be_written(
    given: Job, reports: Reports, caplog: pytest.LogCaptureFixture
) -> None:
    Path(given.folder, pulse.FILE).mkdir(parents=True)
    worker.train_loop(given.plain())
    assert reports[-1]["iteration"] == 4
    assert pulse.read(given.folder) is None
    assert len([r for r in caplog.records if "no pulse" in r.getMessage()]) == 1


class Straight:
    """A mailbox that drops nothing."""

    def __init__(self, write: Any) -> None:
        self.put = write

    def close(self) -> None: ...


class _Breaks(Distiller):
    """A distiller whose term is infinite at one of its calls."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call, self.calls = call, 0

    def forward(
        self, student: Output, teacher: Output, targets: Tensor, step: StepContext
    ) -> dict[str, Tensor]:
        self.calls += 1
        return {"kd": student.logits.mean() * (math.inf if self.calls == self.call else 1.0)}


@pytest.mark.parametrize(
    ("broken", "points"),
    [(2, 20), (2, 1), (5, 2)],
    ids=["each iteration is looked at", "found later", "found after the last point"],
)
def test_divergence_is_reported_with_its_cause_and_no_checkpoint(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch, broken: int, points: int
) -> None:
    _distilling_with(monkeypatch, _Breaks(broken))
    monkeypatch.setattr(worker, "LOG_POINTS", points)
    training = given.config.training.updated(iterations=10, validate_every=5)
    worker.train_loop(given.updated(config=given.config.updated(training=training)).plain())
    (report,) = reports
    assert message_of({"said": json.dumps(report)}) == Failure(
        failed=f"loss term kd is not finite at iteration {broken}", fault="setting"
    )
    assert reports.checkpoint is None


def _distilling_with(monkeypatch: pytest.MonkeyPatch, distiller: nn.Module) -> None:
    built = worker.build_learner

    def replaced(*args: Any, **options: Any) -> Learner:
        learner = built(*args, **options)
        learner.step.distiller = distiller
        return learner

    monkeypatch.setattr(worker, "build_learner", replaced)


@pytest.mark.parametrize("broken", [1, 2, 4], ids=["first", "before validation", "last of all"])
def test_a_gradient_that_is_not_finite_is_never_scored_nor_kept(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    """The loss is finite all the time, so no term tells of it."""
    _distilling_with(monkeypatch, BreaksBackward(broken, math.inf))
    worker.train_loop(given.plain())
    failure = message_of({"said": json.dumps(reports[-1])})
    assert failure == Failure(
        failed=f"the gradient is not finite at iteration {broken}",
        fault="setting",
        iteration=0 if broken <= 2 else 2,
    )
    assert [line.iteration for line in journal.read(given.folder)] == ([] if broken <= 2 else [2])
    assert len(reports) == (1 if broken <= 2 else 2)
    assert not storage.exists(storage.join(given.folder, STUDENT_FILE))


def test_weights_that_overflow_in_the_last_step_are_never_scored(
    given: Job, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    _distilling_with(monkeypatch, BreaksBackward(1, 1e38))
    training = given.config.training.updated(iterations=1, validate_every=1, lr=1e4)
    worker.train_loop(given.updated(config=given.config.updated(training=training)).plain())
    failure = message_of({"said": json.dumps(reports[-1])})
    assert isinstance(failure, Failure)
    assert failure.failed.startswith("student.")
    assert failure.failed.endswith("is not finite at iteration 1")
    assert not storage.exists(storage.join(given.folder, STUDENT_FILE))


def test_checkpoint_holds_student_and_distiller_and_not_the_teacher(tmp_path: Path) -> None:
    pair = build_pair()
    optimizer = build_optimizer(pair.config.training, pair.step.parameters())
    save_checkpoint(tmp_path, RUN, pair.step, state_of(optimizer), Position(iteration=1))
    other = build_pair(seed=1)
    other_optimizer = build_optimizer(other.config.training, other.step.parameters())
    assert load_checkpoint(tmp_path, RUN, other.step, state_of(other_optimizer)).iteration == 1
    names = {name.split(".")[0] for name in other.step.state_dict()}
    assert names == {"student", "distiller"}
    assert all(v.equal(other.step.state_dict()[n]) for n, v in pair.step.state_dict().items())
