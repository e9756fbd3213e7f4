"""The plan of a study: how many runs of which kind, what each needs, and what all of it takes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from afdcd.search.budget import Cost
from afdcd.search.config import StudyConfig
from afdcd.search.load import SearchSpace
from afdcd.search.membership import parameters_in
from afdcd.search.plan.corners import Kind, dearest, kind_of
from afdcd.search.plan.devices import Machine
from afdcd.search.plan.disk import Disk, disk_of
from afdcd.search.plan.hours import RunTime, run_time
from afdcd.search.plan.interval import ZERO, Interval, mixture, total
from afdcd.search.plan.known import Ledgers, device_seconds
from afdcd.search.plan.memory import Memory, memory_of
from afdcd.search.space import SEED, Choice, Range, nodes
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
        teachers: those to be trained.
        references: corners of the runs that come first, one each.
        runs: of the search, references included.
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
    def run_cost(self) -> Cost:
        """What a run is likely to take."""
        hours = mixture(corner.hours for corner in self.corners).likely
        return Cost(self.one_run.likely, hours)

    def training_only(self, teachers: Collection[str]) -> "Plan":
        """The same with only these teachers to be trained; the others are registered already."""
        return replace(self, teachers=tuple(t for t in self.teachers if t.pair in teachers))

    def _turns(self, runs: int) -> int:
        return -(-runs // max(1, self.at_once))


def make_plan(
    space: SearchSpace,
    machine: Machine,
    known: Ledgers | None = None,
    measured: dict[Kind, Measured] | None = None,
) -> Plan:
    """The plan of a checked space.

    Args:
        known: what such runs have cost before.
        measured: by pair and method.
    """

    def corner(config: TrialConfig) -> Corner:
        return _corner(config, machine, known or {}, measured or {})

    corners = tuple(corner(config) for config in dearest(space, lambda c: _need(c, machine)))
    examples = space.with_teachers()
    trained = [
        _alone(e.teacher_trial(), machine)
        for e in examples
        if e.pair.teacher and e.pair.teacher.train
    ]
    teachers = tuple(replace(corner(config), method="teacher") for config in trained)
    study, resources = space.study, space.examples[0].resources
    references = _references(space, corners)
    at_once = machine.at_once(resources, study.max_concurrent)
    return Plan(
        name=space.name,
        study=study,
        machine=machine,
        loaded=tuple(_given(example) for example in examples if _given(example)),
        teachers=teachers,
        corners=corners,
        references=references,
        runs=max(study.runs, len(references)),
        arms=proof_arms(space),
        at_once=at_once,
        disk=disk_of(space, [c.config for c in corners], [t.config for t in teachers], at_once),
    )


def proof_arms(space: SearchSpace) -> int:
    """The best student, the plain one, and the best published setting, where there are these."""
    if all(example.distiller.method == "none" for example in space.examples):
        return 1
    published = [r for r in space.references() if r.get("distiller") != "none"]
    return 3 if published else 2


def _alone(config: TrialConfig, machine: Machine) -> TrialConfig:
    """A teacher's training has all cores of a CPU host, unless it says fewer."""
    resources = config.resources
    if machine.device.is_gpu or resources.cpus_per_worker:
        return config
    cores = max(1.0, machine.count // resources.workers)
    return config.updated(resources=resources.updated(cpus_per_worker=cores))


def _need(config: TrialConfig, machine: Machine) -> tuple[float, float]:
    memory = memory_of(config, machine.device).device.likely
    return memory, run_time(config, machine.device).hours.likely


def _corner(
    config: TrialConfig,
    machine: Machine,
    known: Ledgers,
    measured: dict[Kind, Measured],
) -> Corner:
    gpu, found = machine.device.is_gpu, measured.get(kind_of(config))
    time = run_time(config, machine.device, found.seconds if found else None)
    hours, origin = time.hours, "measured here" if found else "reckoned"
    elsewhere = machine.named or found is not None
    if before := None if elsewhere else device_seconds(config, known, gpu=gpu):
        seconds, runs = before
        hours = seconds * (config.training.iterations / config.resources.workers / 3600)
        origin = f"{runs} run{'s' if runs > 1 else ''} before"
    pair, method = kind_of(config)
    memory, peak = memory_of(config, machine.device), found.peak if found else None
    return Corner(pair, method, config, memory, peak, time, hours, origin)


def _references(space: SearchSpace, corners: tuple[Corner, ...]) -> tuple[Corner, ...]:
    """The corner of each setting that runs first; one with a seed of its own costs no trial."""
    found = {}
    for reference in space.references():
        if SEED not in reference:
            found[repr(sorted(reference.items()))] = _corner_of(space, reference, corners)
    return tuple(found.values())


def _corner_of(
    space: SearchSpace, reference: dict[str, Any], corners: tuple[Corner, ...]
) -> Corner:
    """Of the corners, the one whose choices are the reference's; what it leaves open is the dearest."""
    matching = [c for c in corners if _agrees(space, reference, c)]
    return max(matching or corners, key=lambda corner: corner.device_hours.likely)


def _agrees(space: SearchSpace, reference: dict[str, Any], corner: Corner) -> bool:
    picked = next(parameters_in(space.space, corner.config.plain()), {})
    blocks = [name for name, node in nodes(space.space) if _is_of_blocks(node)]
    return all(picked.get(name) == reference[name] for name in blocks if name in reference)


def _is_of_blocks(node: Range | Choice) -> bool:
    return isinstance(node, Choice) and any(isinstance(option, dict) for option in node.options)


def _given(example: TrialConfig) -> str:
    teacher = example.pair.teacher
    return teacher.weights or "" if teacher else ""
