"""The runs of `curve`: a teacher, and from it one student by our side or by the official formulation."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from afdcd.bench.report import OFFICIAL, OURS
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.train.loader import evaluation_images, train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.distillers.algorithm import Algorithm
from afdcd.distillers.context import StepContext
from afdcd.models.zoo import SegmentationNetwork
from afdcd.seeds import derive
from afdcd.tasks.segmentation import evaluate
from afdcd.training.build_learner import build_learner
from afdcd.training.trial import TrialConfig
from benchmarks.official import numerics, trainer_like

CLASSES = len(SYNTHETIC.classes)
POINTS = 20  # of a curve: each the mean of the iterations since the one before


@dataclass(frozen=True)
class Run:
    """One training: its terms (weighted) by point, the last iteration of each point, its score."""

    side: str
    seed: int
    iterations: list[int]
    terms: dict[str, list[float]]
    miou: float


def trained_teacher(config: TrialConfig, device: torch.device) -> tuple[SegmentationNetwork, float]:
    """Trained by our side without a distiller; both sides get it as it is then, on the CPU."""
    trial = config.teacher_trial()
    learner = build_learner(trial, CLASSES, None, device)
    for iteration, images, labels in _batches(trial, device):
        learner.iterate(iteration, images, labels)
    teacher = learner.student
    score = _miou(teacher, trial, device)
    teacher.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return teacher.eval().requires_grad_(False), score


def ours(
    config: TrialConfig,
    teacher: SegmentationNetwork,
    device: torch.device,
    *,
    algorithm: Algorithm,
) -> Run:
    learner = build_learner(config, CLASSES, copy.deepcopy(teacher), device)
    reconstruct: Any = learner.step.distiller.get_submodule("reconstruct")
    reconstruct.algorithm = algorithm
    for iteration, images, labels in _batches(config, device):
        learner.iterate(iteration, images, labels)
    history = [terms for _, terms in learner.drain()]
    return _run(OURS, config, history, _miou(learner.student, config, device))


def official(config: TrialConfig, teacher: SegmentationNetwork, device: torch.device) -> Run:
    """In fp32 without exception, with the masks and the dropout of our side."""
    learner = build_learner(config, CLASSES, copy.deepcopy(teacher), device)
    trainer = trainer_like(learner, config, copy.deepcopy(teacher), device)
    history, seed = [], config.training.seed
    with numerics(tf32=False):
        for iteration, images, labels in _batches(config, device):
            torch.manual_seed(derive(seed, "dropout", iteration, 0))
            height, width = (-(-side // 8) for side in config.data.crop)
            shape = (len(images), 1, height, width)
            uniform = StepContext(seed, iteration).uniform("mask", shape, device)
            history.append(trainer.iterate(iteration, images, labels, uniform))
        return _run(OFFICIAL, config, history, _miou(trainer.student, config, device))


def _batches(config: TrialConfig, device: torch.device) -> Iterator[tuple[int, Tensor, Tensor]]:
    training = config.training
    batches = train_batches(
        config.data,
        config.data.location,
        seed=training.seed,
        batch=training.batch,
        rank=0,
        world=1,
        start=0,
        stop=training.iterations,
    )
    arriving = prefetch(batches, device, config.data.normalisation)
    for iteration, (images, labels) in enumerate(arriving):
        yield iteration, images, labels


def _miou(student: torch.nn.Module, config: TrialConfig, device: torch.device) -> float:
    """On whole validation images, in fp32 for both sides."""
    images = evaluation_images(config.data, config.data.location, "val")
    return evaluate(student, images, CLASSES, device).miou


def _run(side: str, config: TrialConfig, history: Sequence[dict[str, float]], miou: float) -> Run:
    size = max(1, len(history) // POINTS)
    ends = [*range(size, len(history), size), len(history)]
    windows = [history[max(0, end - size) : end] for end in ends]
    terms = {
        name: [mean(values[name] for values in window) for window in windows] for name in history[0]
    }
    return Run(side, config.training.seed, ends, terms, miou)
