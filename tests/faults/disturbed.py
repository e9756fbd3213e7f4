"""One study while things are killed around it, and a supervisor that starts again what was killed."""

import contextlib
import random
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import optuna
import psutil
from optuna.trial import TrialState

from afdcd.search.losses import ALLOWED
from afdcd.search.rows import entry_of
from tests.faults.stand import Stand

KINDS = ("driver", "worker", "controller", "raylet", "mlflow", "postgres")
# A run that is lost three times at one place is given up, by rule. What belongs to one run is
# therefore not killed when it has one life left.
TAKES_A_RUN = ("worker", "controller", "raylet")
LATE = 0.8  # how often, of all such moments
MIDDLE = 0.6  # how often a kill waits until a run has reported
REPORTED = " iteration "  # what the driver says then
REGISTERING = "registers the best"  # what the driver says when only seconds are left
SPACE = """
data: {{dataset: synthetic, crop: [64, 64], root: {root}}}
pair:
  student: {{head: pspnet, encoder: "timm:lcnet_050"}}
  teacher: {{weights: {teacher}}}
distiller:
  choice:
    - {{method: none}}
    - {{method: afdcd, tau: {{log: [0.05, 1.0]}}, groups: 8, patch: 2, pool: 0, fd_weight: 1e-5}}
training: {{iterations: 40, validate_every: 5, batch: 4}}
study:
  trials: 2
  proof: {{seeds: 3}}
  enqueue:
    - {{distiller: {{method: none}}}}
    - {{distiller: {{method: afdcd, tau: 0.5}}}}
    - {{distiller: {{method: none}}, training: {{seed: 1}}}}
"""


def write_space(stand: Stand, folder: Path) -> Path:
    """The file of a study whose settings are all asked for, so that nothing in it is left to chance."""
    space = folder / "space.yaml"
    space.write_text(SPACE.format(root=stand.root, teacher=stand.teacher))
    return space


class Disturbed:
    """A study by the real command, begun again whenever it ends without success.

    Args:
        chance: draws moments and pauses.
        tell: prints a line.
    """

    def __init__(
        self, stand: Stand, name: str, chance: random.Random, tell: Callable[[str], None]
    ) -> None:
        space = write_space(stand, stand.folder)
        command = [sys.executable, "-m", "afdcd.tune", str(space), f"study.name={name}"]
        self._stand, self.name, self._chance, self._tell = stand, name, chance, tell
        self.driver = stand.service(command)
        self._again: dict[str, float] = {}  # what is down -> when it is started again
        self._started = time.monotonic()
        self.fell = 0  # drivers that ended by themselves and without success

    def run(self, kills: list[str], limit: float) -> bool:
        """Take the first of `kills` at random moments until none is left; whether the study ended in time."""
        self._draw(kills)
        while time.monotonic() - self._started < limit:
            if self._has_ended():
                self._restore()
                return True
            now = time.monotonic()
            for name in [name for name, when in self._again.items() if now >= when]:
                self._start_again(name)
            if kills and self._is_time():
                kind = kills.pop(0)
                if self._kill(kind):
                    self._draw(kills)
                else:  # there is none now
                    kills.append(kind)
                    self._moment = now + 0.5
            time.sleep(0.1)
        self.driver.kill()
        self._restore()
        return False

    def _draw(self, kills: list[str]) -> None:
        """The next moment: any, or while a run trains; at the end when students are registered."""
        lives = kills and kills[0] not in TAKES_A_RUN  # when students are registered no run does
        self._late = bool(lives) and len(kills) <= 2 and self._chance.random() < LATE
        self._middle = not self._late and self._chance.random() < MIDDLE
        self._seen = self._last_line()
        self._moment = time.monotonic() + self._chance.uniform(0.5, 12)

    def _is_time(self) -> bool:
        if self._late and REGISTERING in self._last_line():
            self._late = False
            self._moment = time.monotonic() + self._chance.uniform(0, 4)
        if self._middle and REPORTED in (line := self._last_line()) and line != self._seen:
            self._middle = False
            self._moment = time.monotonic() + self._chance.uniform(0, 3)
        return not self._late and not self._middle and time.monotonic() >= self._moment

    def _has_ended(self) -> bool:
        process = self.driver.process
        if process is None or process.poll() is None or "driver" in self._again:
            return False
        if process.returncode == 0:
            return True
        self.fell += 1
        self._say(f"the driver ended by itself ({process.returncode}): {self._last_line()}")
        self._again["driver"] = time.monotonic() + self._chance.uniform(1, 5)
        return False

    def _kill(self, kind: str) -> bool:
        """Kill one of this kind, if there is one; whether it was done."""
        if kind in self._again or (kind in TAKES_A_RUN and not self._may_lose_a_run()):
            return False
        phase = self._last_line()
        if not getattr(self, f"_kill_{kind}")():
            return False
        self._say(f"kill -9 {kind:10}  in: {phase}")
        return True

    def _kill_driver(self) -> bool:
        if self.driver.process is None or self.driver.process.poll() is not None:
            return False
        self.driver.process.kill()
        self.driver.process.wait()
        self._again["driver"] = time.monotonic() + self._chance.uniform(0.2, 4)
        return True

    def _kill_worker(self) -> bool:
        return self._kill_process("RayTrainWorker")

    def _kill_controller(self) -> bool:
        return self._kill_process("TrainController")

    def _kill_process(self, title: str) -> bool:
        found = [process for process, name in self._stand.processes() if title in name]
        if not found:
            return False
        with contextlib.suppress(psutil.NoSuchProcess):
            self._chance.choice(found).kill()
            return True
        return False

    def _kill_raylet(self) -> bool:
        raylet = self._stand.raylet()
        if raylet is None:
            return False
        raylet.kill()
        self._again["raylet"] = time.monotonic() + self._chance.uniform(1, 10)
        return True

    def _kill_mlflow(self) -> bool:
        self._stand.mlflow.kill()
        self._again["mlflow"] = time.monotonic() + self._chance.uniform(1, 10)
        return True

    def _kill_postgres(self) -> bool:
        self._stand.postgres.stop()
        self._again["postgres"] = time.monotonic() + self._chance.uniform(1, 10)
        return True

    def _start_again(self, name: str) -> None:
        node = self._stand.node
        if name == "raylet" and node.process and node.process.poll() is None:
            return  # it is winding up what its raylet left
        del self._again[name]
        services = {"driver": self.driver, "raylet": node, "mlflow": self._stand.mlflow}
        services.get(name, self._stand.postgres).start()

    def _restore(self) -> None:
        self._again.pop("driver", None)
        while self._again:
            for name in list(self._again):
                self._start_again(name)
            time.sleep(0.1)
        self._stand.ready()

    def _may_lose_a_run(self) -> bool:
        """Whether no run would be given up by one more loss; not known while the database is away."""
        try:
            study = optuna.load_study(
                study_name=self.name, storage=self._stand.environment["AFDCD_STUDY_DB"]
            )
            rows = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        except Exception:  # no such study yet, or no database: Optuna's errors are many
            return False
        for entry in map(entry_of, rows):
            stuck = [loss for loss in entry.losses if loss.iteration >= entry.reached]
            if len(stuck) + 1 >= ALLOWED["machine"]:
                return False
        return True

    def _last_line(self) -> str:
        lines = [line for line in self.driver.printed().splitlines() if line.strip()]
        told = [line for line in lines if re.match(r"\[\d\d:\d\d:\d\d\]|error|study", line)]
        return " ".join((told or lines or ["starting"])[-1].split())[:110]

    def _say(self, text: str) -> None:
        self._tell(f"{self.name} {time.monotonic() - self._started:6.1f} s  {text}")
