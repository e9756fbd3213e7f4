"""A few real steps of a pair and method on this machine: random weights, random pictures, no loader, no Ray.

The student is not compiled, which takes as long as some hundred steps: so hours are rather too many.
"""

import gc
import statistics
import time

import torch

from afdcd.config import UserError
from afdcd.search.load import SearchSpace
from afdcd.search.plan.corners import Kind
from afdcd.search.plan.devices import CONTEXT
from afdcd.search.plan.interval import Interval
from afdcd.search.plan.plan import Corner, Measured, Plan
from afdcd.tasks.names import task_named
from afdcd.training.build_learner import build_learner
from afdcd.training.learner import Learner
from afdcd.training.peak_memory import LiveStorage
from afdcd.training.trial import TrialConfig

WARM_UP, STEPS, PATIENCE = 2, 8, 10.0  # steps, steps, and seconds after which no further one begins
SPREAD = 0.1  # beyond the quickest and the slowest step that was seen


def measure(space: SearchSpace, plan: Plan) -> dict[Kind, Measured]:
    """Of every corner of a plan for this machine, by pair and method.

    Raises:
        UserError: one that does not fit into memory.
    """
    device = torch.device("cuda" if plan.machine.device.is_gpu else "cpu")
    found = {}
    for corner in (*plan.teachers, *plan.corners):
        if device.type == "cpu" and corner.memory.device.low > plan.machine.device.memory:
            raise _too_large(space, corner)  # asking for it would end this process
        try:
            found[corner.kind] = _measured(corner.config, device)
        except torch.OutOfMemoryError:
            raise _too_large(space, corner) from None
    return found


def _too_large(space: SearchSpace, corner: Corner) -> UserError:
    return UserError(
        f"{space.source.at(('training', 'batch'))}: {corner.pair} {corner.method} does not fit into the "
        "memory of this machine; lower training.batch or data.crop, raise training.accumulate, or leave "
        "out --measure"
    )


def _measured(config: TrialConfig, device: torch.device) -> Measured:
    eager = config.updated(training=config.training.updated(compile="off"))
    if device.type == "cpu":
        torch.set_num_threads(max(1, int(config.resources.cpus)))
        with LiveStorage() as live:  # which slows down what it watches
            _steps(_learner(eager, device), eager, device, 2)
        peak = float(live.peak)
    else:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    learner = _learner(eager, device)
    _steps(learner, eager, device, WARM_UP)
    seconds = _steps(learner, eager, device, STEPS)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() + CONTEXT
    low, high = (1 - SPREAD) * min(seconds), (1 + SPREAD) * max(seconds)
    return Measured(Interval(low, statistics.median(seconds), high), peak)


def _learner(config: TrialConfig, device: torch.device) -> Learner:
    classes, teacher = task_named(config.task).outputs(config.data), None
    student = config.pair.student.updated(pretrained=None)
    if config.distiller.DISTILS and config.pair.teacher and config.pair.teacher.model:
        teacher = config.pair.teacher.model.updated(pretrained=None).build(classes)
    random = config.updated(pair=config.pair.updated(student=student))
    return build_learner(random, classes, teacher, device)


def _steps(learner: Learner, config: TrialConfig, device: torch.device, count: int) -> list[float]:
    """Seconds of each step, to the end of the device's work."""
    images = config.training.batch // config.resources.workers
    pictures = torch.randn(images, 3, *config.data.crop, device=device)
    targets = task_named(config.task).made_up(config.data, images, device)
    seconds, began = list[float](), time.monotonic()
    while len(seconds) < count and (not seconds or time.monotonic() - began < PATIENCE):
        started = time.perf_counter()
        learner.iterate(0, pictures, targets)
        learner.drain()
        seconds.append(time.perf_counter() - started)
    return seconds
