"""The four places in which Ray Tune asks. Each hands on to the loop."""

from functools import partial
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

if TYPE_CHECKING:
    from afdcd.search.loop import Loop


class Proposing(Searcher):
    def __init__(self, loop: "Loop") -> None:
        super().__init__()
        self._loop = loop

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        return self._loop.propose(trial_id)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        self._loop.ended(trial_id, died=error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the source keeps its own record."""

    def restore(self, checkpoint_path: str) -> None:
        """Never used: a new driver asks the source."""


class Listening(FIFOScheduler):
    def __init__(self, loop: "Loop") -> None:
        super().__init__()
        self._loop = loop

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        self._loop.added(trial.trial_id, partial(tune_controller.stop_trial, trial))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.STOP if self._loop.reported(trial.trial_id, result) else self.CONTINUE


class Starting(tune.Callback):
    def __init__(self, loop: "Loop") -> None:
        self._loop = loop

    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._loop.started(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._loop.tick()


class Stopping(tune.Stopper):
    def __init__(self, loop: "Loop") -> None:
        self._loop = loop

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._loop.error is not None or self._loop.interrupted

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune saves its stoppers; a loop cannot be saved, and need not be
