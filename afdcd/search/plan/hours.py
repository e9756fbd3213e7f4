"""How long a run takes, reckoned from its arithmetic, and from what moves through memory.

seconds = operations / what convolutions sustain + bytes / bandwidth; or the time that loading takes, if that
is longer. What is known better, because it was measured, replaces the iteration's seconds.
"""

import math
from dataclasses import dataclass

from afdcd.distillers.configs.cost import Cost
from afdcd.search.plan.data import decode_seconds, image_pixels, validated_images
from afdcd.search.plan.devices import Device
from afdcd.search.plan.interval import Interval
from afdcd.search.plan.memory import has_winograd, networks_of, number_size
from afdcd.training.trial import TrialConfig

PASSES = 6  # of a kept map through memory: written and read forward, as often backward
CALLS = {"GPU": 0.01, "CPU": 0.015}  # seconds of Python and of starting kernels, an iteration
START = {"GPU": 30.0, "CPU": 9.0}  # seconds to the first iteration (docs/performance.md)
COMPILING, COMPILED_FROM = 36.0, 2000  # seconds, and iterations from which a student is compiled
WINOGRADS_SHARE = 4 / 9  # of the multiplications of a 3x3 convolution
ALONE = 3.0  # one image at a time fills a device worse than a batch does


@dataclass(frozen=True)
class RunTime:
    """Of one run, in seconds of the clock.

    Attributes:
        computing: an iteration without loading.
        iteration: one, loading included.
        loading: what loading alone would take of it.
        validating: all validations.
    """

    start: float
    computing: Interval
    iteration: Interval
    loading: float
    iterations: int
    validating: Interval

    @property
    def training(self) -> Interval:
        return self.iteration * self.iterations

    @property
    def hours(self) -> Interval:
        return (Interval.exactly(self.start) + self.training + self.validating) * (1 / 3600)


def run_time(config: TrialConfig, device: Device, known: Interval | None = None) -> RunTime:
    """The time of a run on devices of this kind.

    Args:
        known: seconds of an iteration without loading, as measured.
    """
    cores = 1.0 if device.is_gpu else config.resources.cpus
    step = known or Interval.around(_step(config, device, cores), *device.spread)
    workers = config.data.loader_workers
    loading = decode_seconds(config.data) * config.training.batch / config.resources.workers
    if workers:
        loading /= workers
        iteration = Interval(*(max(t, loading) for t in (step.low, step.likely, step.high)))
    else:
        iteration = step + Interval.exactly(loading)
    kind = "GPU" if device.is_gpu else "CPU"
    compiles = device.is_gpu and config.resources.workers == 1 and config.training.compile != "off"
    slow = COMPILING if compiles and config.training.iterations >= COMPILED_FROM else 0.0
    return RunTime(
        start=START[kind] + slow,
        computing=step,
        iteration=iteration,
        loading=loading,
        iterations=config.training.iterations,
        validating=_validating(config, device, cores),
    )


def _step(config: TrialConfig, device: Device, cores: float) -> float:
    """Seconds of an iteration without loading."""
    networks, each = networks_of(config), number_size(config, device)
    images = config.training.batch // config.resources.workers
    gmacs = 3 * networks.student.gmacs + _of_method(networks.cost, images, device)
    if networks.teacher:
        gmacs += networks.teacher.gmacs
    operations = 2e9 * gmacs * images
    moved = PASSES * networks.student.floats * each * images
    compute = operations / device.flops + moved / device.bandwidth
    compute += images * networks.cost.differences / device.differences
    return compute / cores + CALLS["GPU" if device.is_gpu else "CPU"]


def _of_method(cost: Cost, images: int, device: Device) -> float:
    """10^9 multiply-accumulates of an image, as the algorithms leave them that are taken for a batch."""
    convolved = (
        of.gmacs * (WINOGRADS_SHARE if has_winograd(of, images, device) else 1)
        for of in cost.convolutions
    )
    return cost.gmacs + sum(convolved)


def _validating(config: TrialConfig, device: Device, cores: float) -> Interval:
    """Of all validations of a run: whole images, one at a time."""
    networks, training = networks_of(config), config.training
    scale = image_pixels(config.data) / math.prod(config.data.crop)
    forward = ALONE * 2e9 * networks.student.gmacs * scale / device.flops / cores
    decoding = decode_seconds(config.data)
    workers = config.data.loader_workers
    image = max(forward, decoding / workers) if workers else forward + decoding
    images = validated_images(config.data) / config.resources.workers
    rounds = training.iterations // training.validate_every
    return Interval.around(rounds * images * image, *device.spread)
