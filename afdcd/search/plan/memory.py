"""What a worker holds at its peak, reckoned from the shapes of networks and maps.

The peak is at the end of a forward pass, when the gradients of the step before are still there. On a GPU
numbers are bf16 except for weights, their gradients and momentum. A compiled student keeps less, so this is
rather too much. Checked against an H200: 12.2 GiB measured at 16 images, README.
"""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

import torch

from afdcd.distillers.configs.cost import Convolutions, Cost
from afdcd.losses.cross_entropy import CHUNK_ELEMENTS
from afdcd.models.footprint import Footprint, footprint
from afdcd.search.plan.devices import CONTEXT, Device
from afdcd.search.plan.interval import Interval
from afdcd.tasks.names import task_named
from afdcd.training.shapes import pair_shapes
from afdcd.training.trial import TrialConfig

SPREAD = (0.85, 1.25)
WINOGRAD = 65_536  # positions from which its transforms pay on a GPU (docs/performance.md)
TRANSFORMED = 4  # maps more, of its size, that they need


@dataclass(frozen=True)
class Memory:
    """Bytes of one worker.

    Attributes:
        distillation: the teacher, its maps, and what the method keeps and needs meanwhile.
        loader: of the host, for batches on their way; in /dev/shm where there are loader processes.
    """

    parameters: float
    gradients: float
    optimizer: float
    activations: float
    distillation: float
    context: float
    loader: float

    @property
    def device(self) -> Interval:
        """What the device must hold."""
        parts = (getattr(self, part.name) for part in fields(self) if part.name != "loader")
        return Interval.around(sum(parts), *SPREAD)


@dataclass(frozen=True)
class Networks:
    """A trial's networks and modules, by their shapes."""

    student: Footprint
    teacher: Footprint | None
    adapters: int  # parameters of the distiller
    remembered: int  # bytes of what it keeps from step to step
    cost: Cost  # of its terms, for an image


@lru_cache(maxsize=1024)
def networks_of(config: TrialConfig) -> Networks:
    """Of a trial; a teacher that it does not learn from is none."""
    classes = _classes(config)
    student = footprint(config.pair.student, classes, *config.data.crop)
    if config.distiller.PREPARES:  # there is none
        student = replace(student, parameters=0, gmacs=0.0, floats=0, other=0)
    model = config.pair.teacher.model if config.pair.teacher else None
    if model is None or not config.distiller.DISTILS:
        return Networks(student, None, 0, 0, Cost())
    teacher = footprint(model, classes, *config.data.crop)
    shapes = pair_shapes(config.pair.student, model, classes)
    with torch.device("meta"):
        distiller = config.distiller.build(shapes)
    return Networks(
        student,
        teacher,
        adapters=sum(p.numel() for p in distiller.parameters()),
        remembered=sum(b.nbytes for b in distiller.buffers()),
        cost=config.distiller.cost(shapes, config.data.crop),
    )


def memory_of(config: TrialConfig, device: Device) -> Memory:
    networks, training = networks_of(config), config.training
    each = number_size(config, device)
    share = training.batch // config.resources.workers
    images = share // training.accumulate  # at a time
    height, width = config.data.crop
    learnt = networks.student.parameters + networks.adapters
    student = networks.student
    wide = min(CHUNK_ELEMENTS, images * _classes(config) * height * width)
    half = each if each < 4 else 0  # autocast makes copies of images and weights
    shown = share * height * width * (3 * (4 + half) + 8)  # images and labels
    casts = learnt * half
    kept = images * (student.floats * each + student.other)
    workers = config.data.loader_workers
    return Memory(
        parameters=learnt * 4,
        gradients=learnt * 4,
        optimizer=learnt * 4 * training.optimizer.slots,
        activations=kept + shown + casts + 3 * 4 * wide,
        distillation=_distillation(config, networks, images, each, device),
        context=CONTEXT if device.is_gpu else 0,
        loader=(2 * workers + 1) * share * height * width * 4,
    )


def number_size(config: TrialConfig, device: Device) -> int:
    """Bytes of a number in a map."""
    precision = config.training.precision
    return 2 if precision == "bf16" or (precision == "auto" and device.is_gpu) else 4


def _distillation(
    config: TrialConfig, networks: Networks, images: int, each: int, device: Device
) -> float:
    teacher = networks.teacher
    if teacher is None:
        return 0.0
    channels, height, width = teacher.features
    one_map = images * channels * height * width
    logits = images * _classes(config) * height * width * 4
    need: float = teacher.parameters * each + one_map * each + 6 * logits
    cost = networks.cost
    need += networks.remembered + images * (cost.kept + cost.numbers * each)
    for of in cost.convolutions:
        if has_winograd(of, images, device):
            need += TRANSFORMED * images * of.places * of.channels * each
    return need


def has_winograd(of: Convolutions, images: int, device: Device) -> bool:
    """Whether the cheaper algorithm is taken for so many images at a time."""
    return device.is_gpu and images * of.places >= WINOGRAD


def _classes(config: TrialConfig) -> int:
    return task_named(config.task).outputs(config.data)
