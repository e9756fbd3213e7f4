"""A cluster of one place: the real loop, launcher and worker, of which each run computes a number.

What a run has learnt is how many iterations lie behind its weights, and its checkpoint carries that. So
a score tells whether an iteration was left out or done twice.
"""

import contextlib
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError
from ray.train import WorkerGroupError
from ray.tune.integration import ray_train

from afdcd import storage
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.models.weights import NetworkCard, save_network
from afdcd.search import housekeeping, run_study
from afdcd.search.cluster import Cluster
from afdcd.search.loop import Loop
from afdcd.search.watchdog import Watchdog
from afdcd.tasks.score import Score
from afdcd.training import launch, run, worker
from afdcd.training.artifacts import PANEL_FILE, STUDENT_FILE
from afdcd.training.checkpoint import Position
from afdcd.training.job import Job, message_of
from afdcd.training.notice import DrainedError, Notice
from afdcd.training.resume import HEADER, TENSORS, TRAIN
from tests.faults.boundary import Boundary, WorkerKilledError

STEP = 2.0  # seconds of one iteration
DRAINED = (
    0.04,
    3,
)  # of the runs at this learning rate the node is drained once, after this iteration
_discard = storage.remove_folder  # Ray's own doing, which our boundary does not count


class EndedError(BaseException):
    """Tune has ended the process of a run."""


class DriverError(BaseException):
    """The driver failed while it was told something."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class VirtualCluster:
    """Runs one run at a time.

    Attributes:
        trained: how often each iteration of each run (by its identity) was computed.
    """

    def __init__(self, boundary: Boundary, networks: "Networks") -> None:
        self._boundary, self._networks = boundary, networks
        self.trained: Counter[tuple[str, int]] = Counter()
        self.interval = 0  # iterations between two validations
        self._drained: set[str] = set()  # runs, by their identities
        self._say: Callable[[dict[str, Any]], bool] = lambda message: False
        self._job: Job | None = None
        self._kept: str | None = None  # the checkpoint of this attempt

    def install(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(run_study, "connect", _connected)
        patch.setattr(Loop, "_tune", lambda loop, *_: self._tune(loop))
        patch.setattr(ray_train, "TuneReportCallback", SimpleNamespace)
        patch.setattr(ray.tune, "report", self._hear)
        trainer = lambda job, **_: SimpleNamespace(fit=partial(self._fit, job))  # noqa: E731
        patch.setattr(launch, "build_trainer", trainer)
        patch.setattr(housekeeping, "ThreadPoolExecutor", Inline)
        patch.setattr(Watchdog, "start", lambda dog: None)  # it looks by the real clock
        patch.setattr(worker, "_beating", lambda *_: contextlib.nullcontext(Pulses()))
        patch.setattr(worker, "_prepare", self._prepare)
        patch.setattr(worker, "_train_until", self._train_until)
        patch.setattr(worker, "_validate", _score)
        patch.setattr(run, "save_panel", _save_panel)
        patch.setattr(run, "save_result", self._networks.save)
        patch.setattr(worker, "save_result", self._networks.save)
        patch.setattr(run, "save_checkpoint", _save_checkpoint)
        whole = SimpleNamespace(from_directory=Path)
        train = SimpleNamespace(report=self._report, Checkpoint=whole)
        for place in (worker, run):
            patch.setattr(place, "ray", SimpleNamespace(train=train))

    def _tune(self, loop: Loop) -> None:
        """What Ray Tune does with a loop."""
        silent = SimpleNamespace(look=lambda *_: None, pending=lambda _: False)
        loop._reclaimer = loop._waits = silent  # type: ignore[assignment]
        for number in range(100):
            trial = f"t{number}"
            config = loop.propose(trial)
            if not isinstance(config, dict):
                return
            loop.started(trial)
            loop.tick()
            if loop.error or loop.interrupted:
                return
            loop.ended(trial, died=self._run(loop, trial, config))
            loop.tick()
        raise AssertionError("a study without an end")

    def _run(self, loop: Loop, trial: str, config: dict[str, Any]) -> bool:
        """One attempt at a run; whether it died without a word."""

        def say(message: dict[str, Any]) -> bool:
            over = loop.reported(trial, message)
            loop.tick()
            return over or loop.error is not None or loop.interrupted

        self._say, self._boundary.worker, self._boundary.worker_dead = say, True, False
        try:
            launch.run_job(config)
        except WorkerKilledError:
            return True
        except EndedError:
            return False
        except DriverError as stopped:
            raise stopped.error from None
        finally:
            self._boundary.worker = False
        return False

    def _hear(self, message: dict[str, Any]) -> bool:
        """A run's process told something: the driver acts."""
        self._boundary.worker = False
        try:
            over = self._say(message)
        except Exception as error:
            raise DriverError(error) from error
        finally:
            self._boundary.worker = True
        if over:
            raise EndedError
        return over

    def _fit(self, job: dict[str, Any]) -> None:
        try:
            worker.train_loop(job)
        except WorkerKilledError:
            raise WorkerGroupError("", {0: ActorDiedError()}) from None
        except Exception as error:
            raise WorkerGroupError(str(error), {0: error}) from None

    def _prepare(self, job: Job, pulses: Any) -> Any:
        self._job, self._kept, trained, position = job, None, 0, Position()
        if job.checkpoint:
            header = json.loads(storage.read_bytes(storage.join(job.checkpoint, HEADER)))
            assert header["run"] == job.identity
            trained, position = header["trained"], Position(**header["position"])
        learner: Any = SimpleNamespace(
            rank=0,
            world=1,
            device=SimpleNamespace(type="cpu"),
            notes={},
            diverged="",
            step=SimpleNamespace(student="one", trained=trained),
            slots=dict,
        )
        return run.Run(job, learner, position, pulses, Notice(lambda: None))

    def _train_until(self, run: Any, stop: int) -> dict[str, list[float]]:
        steps = range(run.position.iteration, stop)
        self.interval = max(self.interval, len(steps))
        curve = run.position.curve or {"iteration": [], "total": []}
        for iteration in steps:
            self.trained[run.job.identity, iteration] += 1
            run.learner.step.trained += 1
            self._boundary.clock.sleep(STEP)
            curve["iteration"].append(float(iteration + 1))
            curve["total"].append(1 / (iteration + 1))
            self._look(run, iteration + 1, curve)
        return curve

    def _look(self, run: Any, iteration: int, curve: dict[str, list[float]]) -> None:
        known = run.job.identity in self._drained
        if not known and (run.config.training.lr, iteration) == DRAINED:
            self._drained.add(run.job.identity)
            run.reach(iteration, curve)
            raise DrainedError("node 10.0.0.3 is being drained")

    def _report(
        self,
        message: dict[str, Any],
        checkpoint: Path | None = None,
        checkpoint_dir_name: str = "",
    ) -> None:
        """What Ray Train does: the checkpoint is kept first, and the one before it is dropped."""
        assert self._job
        if checkpoint:
            place = storage.join(self._job.folder, TRAIN, checkpoint_dir_name)
            for name in (TENSORS, HEADER):
                storage.write_bytes(storage.join(place, name), (checkpoint / name).read_bytes())
            if self._kept:
                _discard(self._kept)
            self._kept = place
        assert message_of(message)
        self._hear(message)


class Pulses:
    loss: float | None = None

    def trained(self, iteration: int) -> None: ...

    def validating(self, iteration: int) -> None: ...

    def ended(self) -> None: ...

    def device_seconds(self) -> float:
        return 0.0


class Inline:
    """In a thread's place: what it does, it does at once, so that all calls have their order."""

    def __init__(self, *_: object) -> None: ...

    def submit(self, work: Callable[..., None], *given: object) -> None:
        work(*given)

    def shutdown(self) -> None: ...


class Networks:
    """Files of students, each made once; as a file of the real kind takes a while to make and to read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[tuple[str, float], bytes] = {}
        self._loaded: dict[bytes, Any] = {}

    def save(self, job: Job, step: Any, score: Score) -> None:
        key = job.identity, score.value
        if key not in self._files:
            self._files[key] = self._made(job, score)
        storage.write_bytes(storage.join(job.folder, STUDENT_FILE), self._files[key])

    def _made(self, job: Job, score: Score) -> bytes:
        card = NetworkCard(
            model=job.config.pair.student.updated(pretrained=None),
            dataset=SYNTHETIC.name,
            classes=SYNTHETIC.classes,
            palette=SYNTHETIC.palette,
            normalisation=job.config.data.normalisation,
            miou=score.value,
            split="dev/val",
            parameters=1,
            fingerprint=job.identity,
        )
        file = self._folder / "made.safetensors"
        save_network(file, card.model.build(len(card.classes)), card)
        return file.read_bytes()

    def load(self, path: Path, real: Callable[[Path], Any]) -> Any:
        key = hashlib.sha256(path.read_bytes()).digest()
        if key not in self._loaded:
            self._loaded[key] = real(path)
        return self._loaded[key]


def _score(run: Any) -> Score:
    training, trained = run.config.training, run.learner.step.trained
    value = training.lr * (1 + trained) + training.seed / 1000
    return Score(name="miou", value=value, parts={"pixel_accuracy": 0.5})


def _save_panel(job: Job, student: Any, device: Any) -> None:
    storage.write_bytes(storage.join(job.folder, PANEL_FILE), b"png of " + job.identity.encode())


def _save_checkpoint(folder: Path, run: str, step: Any, slots: Any, position: Position) -> None:
    payload = f"{run} {step.trained}".encode()
    (folder / TENSORS).write_bytes(payload)
    header = {
        "run": run,
        "sha256": hashlib.sha256(payload).hexdigest(),
        "position": position.plain(),
        "trained": step.trained,
    }
    (folder / HEADER).write_text(json.dumps(header))


@contextlib.contextmanager
def _connected(*_: object) -> Iterator[Cluster]:
    yield Cluster.of(({"CPU": 2.0},))


def temporary_folder() -> str:
    """In memory where that can be had."""
    shared = Path("/dev/shm")
    return tempfile.mkdtemp(prefix="afdcd-faults-", dir=shared if shared.is_dir() else None)
