"""What will end a run, or make it worth nothing, as far as file and machine tell; each with its line.

The cases are those that people reported of such systems: memory of a device or of /dev/shm that does not
suffice, a term of the loss that is always 0, a cluster with no place, loaders that hold up the device.
What is refused for every machine (crops, batches that do not divide, one image for batch normalisation) is
`afdcd.search.load`'s and `networks`' to say.
"""

import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from afdcd.config import Key, Source, UserError
from afdcd.data.shards.rows import open_split
from afdcd.environment import storage_root
from afdcd.search.load import SearchSpace
from afdcd.search.plan.data import manifest_of
from afdcd.search.plan.devices import GIB
from afdcd.search.plan.disk import free_bytes
from afdcd.search.plan.memory import networks_of
from afdcd.search.plan.plan import Corner, Plan
from afdcd.text import byte_count
from afdcd.training.trial import TrialConfig

SHARED_MEMORY = Path("/dev/shm")
HELD_UP = 1.3  # times as long as the device computes, from which loading is told of


@dataclass(frozen=True)
class Risk:
    """What is foreseen; certain: a run would end by it."""

    where: str  # file, line and key
    text: str
    certain: bool = False


def risks(space: SearchSpace, plan: Plan) -> tuple[list[str], list[str]]:
    """Lines about what would certainly end a run, and about what may."""
    found: dict[Risk, None] = {}
    for corner in (*plan.teachers, *plan.corners):
        found |= dict.fromkeys(_memory(corner, plan, space.source))
        found |= dict.fromkeys(_validations(corner, space.source))
    for example, source in zip(space.examples, space.sources, strict=True):
        found |= dict.fromkeys(_silent_terms(example, source))
        found |= dict.fromkeys(_unknown_teacher(example, source))
    found |= dict.fromkeys(_empty_roles(space))
    for look in (_loading, _places, _shared_memory, _disk):
        found |= dict.fromkeys(look(plan, space.source))
    lines: tuple[list[str], list[str]] = ([], [])
    for risk in found:
        lines[0 if risk.certain else 1].append(f"{risk.where}: {risk.text}")
    return lines


def _empty_roles(space: SearchSpace) -> Iterator[Risk]:
    """A protocol that finds nothing to train or select on in the set that is prepared."""
    data = space.examples[0].data
    if manifest_of(data) is None:
        return
    for role in ("train", "val"):
        try:
            open_split(data.location, data.dataset, data.protocol, role)
        except UserError as error:
            yield Risk(space.source.at(("data", "protocol")), str(error), certain=True)


def _memory(corner: Corner, plan: Plan, source: Source) -> Iterator[Risk]:
    device = plan.machine.device
    has, where = device.memory, f"one {device.name} has {device.memory / GIB:.3g}"
    runs = 1
    if not device.is_gpu:  # the host's memory, which all runs share
        runs = max(1, plan.at_once)
        where = f"this machine has {has / GIB:.3g} for {runs} at once"
    need = corner.need * runs * (1 if device.is_gpu else corner.config.resources.workers)
    if not has or need.high < has:
        return
    what = "a worker of the teacher's training" if corner.method == "teacher" else "a worker"
    figure = f"{corner.need.likely / GIB:.1f} GiB ({corner.need.low / GIB:.1f} at least)"
    mend, key = _remedy(corner)
    text = f"{what}, {corner.pair} {corner.method}, needs {figure}, {where}; {mend}"
    certain = need.low > has and plan.machine.is_meant
    yield Risk(source.at(key), text, certain)


def _remedy(corner: Corner) -> tuple[str, Key]:
    """What takes the memory: what a method remembers, or else the batch."""
    sizes, remembered = corner.config.distiller.sizes, networks_of(corner.config).remembered
    if sizes and remembered > corner.need.likely / 2:
        keys: list[Key] = [("distiller", *key) for key in sizes]
        return f"lower {' and '.join('.'.join(map(str, key)) for key in keys)}", keys[0]
    mend = "lower training.batch or data.crop, or raise resources.workers or training.accumulate"
    return mend, _key(corner, "batch")


def _key(corner: Corner, name: str) -> Key:
    """Of a value of the recipe; a teacher that is trained has its own."""
    train: Key = ("pair", "teacher", "train")
    return (*train, name) if corner.method == "teacher" else ("training", name)


def _validations(corner: Corner, source: Source) -> Iterator[Risk]:
    time = corner.time
    if time.validating.likely > time.training.likely:
        yield Risk(
            source.at(_key(corner, "validate_every")),
            f"validations take longer than training ({time.validating.likely / 3600:.2g} and "
            f"{time.training.likely / 3600:.2g} h a run of {corner.method}); validate less often",
        )


def _loading(plan: Plan, source: Source) -> Iterator[Risk]:
    """Told once, of the runs that need the images fastest."""
    corner = max(plan.corners, key=lambda one: one.time.loading / one.time.computing.likely)
    time, data, batch = corner.time, corner.config.data, corner.config.training.batch
    if data.loader_workers and time.loading > HELD_UP * time.computing.likely:
        enough = math.ceil(data.loader_workers * time.loading / time.computing.likely)
        yield Risk(
            source.at(("data", "loader_workers")),
            f"{data.loader_workers} loader processes feed {batch / time.loading:.0f} images/s, the device "
            f"could take {batch / time.computing.likely:.0f} ({corner.pair} {corner.method}), so it waits; "
            f"{enough} would do, with resources.cpus_per_worker as high",
        )


def _silent_terms(config: TrialConfig, source: Source) -> Iterator[Risk]:
    """Terms that are always 0, so that what is called distillation is none."""
    for key, text in config.distiller.silent.items():
        yield Risk(source.at(("distiller", *key)), text)


def _unknown_teacher(config: TrialConfig, source: Source) -> Iterator[Risk]:
    teacher = config.pair.teacher
    if teacher and teacher.model is None and config.distiller.DISTILS:
        text = (
            "which network it is only its weights say, so memory and hours leave it out; add "
            "model: {head: ..., encoder: ...}"
        )
        yield Risk(source.at(("pair", "teacher")), text)


def _places(plan: Plan, source: Source) -> Iterator[Risk]:
    if not plan.at_once:
        resources = plan.corners[0].config.resources
        needs = f"{resources.workers} workers"
        if not plan.machine.device.is_gpu:
            needs += f" of {resources.cpus:g} CPU"
        text = (
            f"a run needs {needs}, {plan.machine} holds none; lower it, or name a larger --cluster"
        )
        yield Risk(source.at(("resources", "workers")), text, plan.machine.is_meant)


def _shared_memory(plan: Plan, source: Source) -> Iterator[Risk]:
    """Batches of loader processes lie in /dev/shm; a process that finds it full ends with a bus error."""
    corner = max(plan.corners, key=lambda one: one.memory.loader)
    resources, workers = corner.config.resources, corner.config.data.loader_workers
    need = corner.memory.loader * resources.workers * max(1, plan.at_once)
    if not workers or plan.machine.named or not SHARED_MEMORY.is_dir():
        return
    if need > (free := shutil.disk_usage(SHARED_MEMORY).free):
        yield Risk(
            source.at(("data", "loader_workers")),
            f"batches on their way take {byte_count(need)} of /dev/shm, {byte_count(free)} are free; "
            "lower data.loader_workers, or give the container more, e.g. --shm-size=8g",
        )


def _disk(plan: Plan, source: Source) -> Iterator[Risk]:
    free = None if plan.machine.named else free_bytes(storage_root())
    if free is not None and plan.disk.whole > free:
        text = (
            f"{storage_root()} has {byte_count(free)}, the study needs {byte_count(plan.disk.whole)}; "
            "free some, set AFDCD_STORAGE to another place, or lower study.trials"
        )
        yield Risk(source.at(("study",)), text)
