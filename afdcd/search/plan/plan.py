"""The plan of a study as values: how many runs of which kind, what each needs, what all of it takes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from afdcd.search.budget import Cost
from afdcd.search.config import StudyConfig
from afdcd.search.division import Label
from afdcd.search.plan.corners import Kind, kind_of
from afdcd.search.plan.devices import Machine
from afdcd.search.plan.disk import Disk
from afdcd.search.plan.hours import RunTime
from afdcd.search.plan.interval import ZERO, Interval, mixture, total
from afdcd.search.plan.memory import Memory
from afdcd.training.trial import TrialConfig


@dataclass(frozen=True)
class Measured:
    """What a few steps of a corner took on this machine.

    Attributes:
        seconds: of an iteration, loading left out.
        peak: bytes that the device held.
    """

    seconds: Interval
    peak: float


@dataclass(frozen=True)
class Corner:
    """The most expensive runs of one pair and method, or a teacher's training.

    Attributes:
        peak: bytes that were measured.
        hours: of the clock.
        origin: what the hours are reckoned from.
    """

    pair: str
    method: str
    config: TrialConfig
    memory: Memory
    peak: float | None
    time: RunTime
    hours: Interval
    origin: str

    @property
    def kind(self) -> Kind:
        return kind_of(self.config)

    @property
    def need(self) -> Interval:
        """Bytes of the device."""
        return self.memory.device if self.peak is None else Interval.around(self.peak, 1.0, 1.1)

    @property
    def device_hours(self) -> Interval:
        return self.hours * self.config.resources.workers


@dataclass(frozen=True)
class Plan:
    """What a study will do and cost.

    Attributes:
        loaded: teachers that are given as weights.
        teachers: those to be trained, and the prerequisites of methods.
        references: corners of the runs that come first, one each.
        runs: of the search, references included.
        shares: of these, by value of `study.budget_per`; empty where they are not divided.
        arms: settings that the proof runs with each of its seeds.
    """

    name: str
    study: StudyConfig
    machine: Machine
    loaded: tuple[str, ...]
    teachers: tuple[Corner, ...]
    corners: tuple[Corner, ...]
    references: tuple[Corner, ...]
    runs: int
    shares: Mapping[Label, int]
    arms: int
    at_once: int
    disk: Disk

    @property
    def proof_runs(self) -> int:
        return self.arms * self.study.proof.seeds

    @property
    def one_run(self) -> Interval:
        """Device-hours of a run, whichever the search takes."""
        return mixture(corner.device_hours for corner in self.corners)

    @property
    def device_hours(self) -> dict[str, Interval]:
        """By what they are for."""
        sampled = max(0, self.runs - len(self.references))
        return {
            "teachers": total(corner.device_hours for corner in self.teachers),
            "references": total(corner.device_hours for corner in self.references),
            "search": self.one_run * sampled if sampled else ZERO,
            "proof": self.one_run * self.proof_runs,
        }

    @property
    def clock_hours(self) -> dict[str, Interval]:
        """The same of the clock: teachers one after the other, then as many runs at once as there is room."""
        run = mixture(corner.hours for corner in self.corners)
        first, proof = self._turns(len(self.references)), self._turns(self.proof_runs)
        return {
            "teachers": total(corner.hours for corner in self.teachers),
            "references": run * first,
            "search": run * (self._turns(self.runs) - first),
            "proof": run * proof,
        }

    @property
    def least_run(self) -> Cost:
        """What a run takes at least: what is believed until one has shown what it really takes."""
        return Cost(self.one_run.low, mixture(corner.hours for corner in self.corners).low)

    def training_only(self, teachers: Collection[str]) -> "Plan":
        """The same with only these teachers to be trained; the others are registered already."""
        needed = (t for t in self.teachers if t.pair in teachers or t.method != "teacher")
        return replace(self, teachers=tuple(needed))

    def _turns(self, runs: int) -> int:
        return -(-runs // max(1, self.at_once))
