"""How the plan of a study is made from its search space, a machine, and what is known of such runs."""

from dataclasses import replace
from functools import partial
from typing import Any

from afdcd.search.division import value_in
from afdcd.search.load import SearchSpace
from afdcd.search.membership import parameters_in
from afdcd.search.plan.corners import Kind, dearest, kind_of
from afdcd.search.plan.devices import Machine
from afdcd.search.plan.disk import disk_of
from afdcd.search.plan.hours import run_time
from afdcd.search.plan.known import Ledgers, device_seconds
from afdcd.search.plan.memory import memory_of
from afdcd.search.plan.plan import Corner, Measured, Plan
from afdcd.search.space import SEED, Choice, Range, nodes
from afdcd.training.trial import TrialConfig


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
    reckoned = partial(_corner, machine=machine, known=known or {}, measured=measured or {})
    corners = tuple(map(reckoned, dearest(space, partial(_need, machine=machine))))
    trained = [reckoned(config) for config in _trained(space, machine)]
    given = [e.pair.teacher.weights for e in space.with_teachers() if e.pair.teacher]
    study, references, arms = space.study, _references(space, corners), proof_arms(space)
    at_once = machine.at_once(space.examples[0].resources, study.max_concurrent)
    shares = space.division.left(study.runs, []) if space.division else {}
    runs = max(sum(shares.values()) or study.runs, len(references))
    dear, taught = ([one.config for one in some] for some in (corners, trained))
    return Plan(
        name=space.name,
        study=study,
        machine=machine,
        loaded=tuple(filter(None, given)),
        teachers=tuple(map(_named, trained)),
        corners=corners,
        references=references,
        runs=runs,
        shares=shares,
        arms=arms,
        at_once=at_once,
        disk=disk_of(study, dear, taught, runs + arms * study.proof.seeds, at_once),
    )


def proof_arms(space: SearchSpace) -> int:
    """The best student, the plain one, and the best published setting, where there are these.

    Where the runs are divided, of each rival; those of which the published setting is the best take less.
    """
    if not any(example.distiller.DISTILS for example in space.examples):
        return 1
    published = [r for r in space.references() if r.get("distiller") != "none"]
    if division := space.division:
        rivals = {value_in(e.plain(), division.key) for e in space.examples if e.distiller.DISTILS}
        alone = 1 if division.path.startswith("distiller") else len(rivals)
        return alone + len(rivals) + len({r.get(division.path) for r in published})
    return 3 if published else 2


def _trained(space: SearchSpace, machine: Machine) -> list[TrialConfig]:
    """The runs that train teachers and prerequisites. On a CPU host a teacher has all cores by default."""
    found = []
    for example in space.with_teachers():
        if example.pair.teacher and example.pair.teacher.train:
            config, resources = example.teacher_trial(), example.resources
            if not machine.device.is_gpu and not resources.cpus_per_worker:
                cores = max(1.0, machine.count // resources.workers)
                config = config.updated(resources=resources.updated(cpus_per_worker=cores))
            found.append(config)
    # What methods must have learnt from a teacher first, each once for all settings that need it.
    first = (t for e in space.with_teachers(every=True) for t in e.prerequisite_trials().values())
    return found + list({trial.fingerprint(""): trial for trial in first}.values())


def _named(trained: Corner) -> Corner:
    return trained if trained.config.distiller.PREPARES else replace(trained, method="teacher")


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
