"""`curve`: whether our fast path learns what the official formulation learns in fp32.

Both train one pair on rendered street scenes from equal weights, on equal batches and masks; what
differs is the arithmetic. Its effect is held against that of another seed.
"""

import argparse
import copy
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from afdcd.bench.command import main_of
from afdcd.bench.report import OFFICIAL, OURS, Report, conditions, heading
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.data.train.loader import evaluation_images, train_batches
from afdcd.data.train.to_device import prefetch
from afdcd.distillers.algorithm import ALGORITHMS, Algorithm
from afdcd.distillers.context import StepContext
from afdcd.models.zoo import SegmentationNetwork
from afdcd.paths import expanded, expanded_path
from afdcd.seeds import derive
from afdcd.tasks.segmentation import evaluate
from afdcd.text import table
from afdcd.training.build_learner import build_learner
from afdcd.training.trial import TrialConfig
from benchmarks.official import numerics, trainer_like
from benchmarks.pairs import checked_trial, our_dtype
from benchmarks.plot import check_plot, draw

CLASSES = len(SYNTHETIC.classes)
SCENES = SyntheticConfig(height=96, width=128, train=120, val=1, test=1)  # dev: 96 and 24 of train
POINTS = 20  # of a curve: each the mean of the iterations since the one before
SHOWN = 5  # of them in the table


@dataclass(frozen=True)
class Run:
    """One training: its terms (weighted) by point, the last iteration of each point, its score."""

    side: str
    seed: int
    iterations: list[int]
    terms: dict[str, list[float]]
    miou: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iterations", type=int, help="of each run; default: 40, GPU 300")
    parser.add_argument("--teacher-iterations", type=int, help="default: as --iterations")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each side; default: 3")
    parser.add_argument("--seed", type=int, help="run this one alone, to put runs together later")
    parser.add_argument("--teacher", default="timm:regnetx_002", help="encoder")
    parser.add_argument("--student", default="timm:mobilenetv3_small_050", help="encoder")
    parser.add_argument(
        "--crop", type=int, nargs=2, default=[64, 96], metavar=("H", "W"), help="default: 64 96"
    )
    parser.add_argument("--batch", type=int, help="images per step; default: 4, GPU 16")
    parser.add_argument("--lr", type=float, default=0.05, help="default: 0.05")
    parser.add_argument(
        "--algorithm", choices=ALGORITHMS, default="auto", help="of our projector; default: auto"
    )
    parser.add_argument(
        "--precision", default="auto", help="of our side: fp32, bf16; default: bf16 on a GPU"
    )
    parser.add_argument(
        "--data", metavar="ROOT", type=expanded, help="prepared synthetic set; default: rendered"
    )
    parser.add_argument("--out", metavar="PNG", type=expanded_path, help="draw the curves")


def measure(args: argparse.Namespace, device: torch.device) -> Report:
    if args.seed is not None and args.seed < 0:
        raise UserError(f"--seed {args.seed}: must be at least 0")
    if args.seeds < 2:
        raise UserError(f"--seeds {args.seeds}: a spread needs at least 2")
    if args.out:
        check_plot()
    with _scenes(args.data) as root:
        config = _trial(args, root, device)
        teacher, teacher_miou = _teacher(config, device)
        runs = [
            train(config.updated(training=config.training.updated(seed=seed)), teacher, device)
            for seed in (range(args.seeds) if args.seed is None else [args.seed])
            for train in (partial(_ours, algorithm=args.algorithm), _official)
        ]
    found = conditions(device)
    values = {
        "command": "curve",
        "pair": config.pair.label,
        "dtype": our_dtype(config, device),
        "algorithm": args.algorithm,
        "training": config.training.plain(),
        "crop": list(config.data.crop),
        "teacher_miou": teacher_miou,
        "miou": verdict(_scores(runs, OURS), _scores(runs, OFFICIAL)),
        "last_loss": verdict(_last_losses(runs, OURS), _last_losses(runs, OFFICIAL)),
        "runs": [asdict(run) for run in runs],
        **found,
    }
    if args.out:
        draw(values, args.out)
    return Report(_text(values, runs), values)


def verdict(ours: Sequence[float], official: Sequence[float]) -> dict[str, Any]:
    """Whether the two means differ by no more than one side's seeds do.

    The standard error is that of the mean difference of runs of one seed: a difference of one or
    two of it is chance, also where two seeds happened to score alike. One run tells neither.
    """
    paired = [a - b for a, b in zip(ours, official, strict=True)]
    difference = mean(paired)
    several = len(paired) > 1
    spread = max(max(side) - min(side) for side in (ours, official)) if several else None
    return {
        OURS: list(ours),
        OFFICIAL: list(official),
        "difference": difference,
        "standard_error": stdev(paired) / len(paired) ** 0.5 if several else None,
        "spread": spread,
        "within_spread": None if spread is None else abs(difference) <= spread,
    }


@contextmanager
def _scenes(root: str | None) -> Iterator[str]:
    if root is not None:
        yield root
        return
    with tempfile.TemporaryDirectory() as folder:
        prepare_synthetic(folder, SCENES)
        yield folder


def _trial(args: argparse.Namespace, root: str, device: torch.device) -> TrialConfig:
    gpu = device.type == "cuda"
    iterations = args.iterations or (300 if gpu else 40)
    recipe = {"batch": args.batch or (16 if gpu else 4), "lr": args.lr}
    taught = args.teacher_iterations or iterations
    values = {
        "data": {
            "dataset": "synthetic",
            "root": root,
            "crop": list(args.crop),
            "scale": [0.75, 1.5],
            "loader_workers": 4 if gpu else 0,
        },
        "pair": {
            "student": {"head": "pspnet", "encoder": args.student},
            "teacher": {
                "model": {"head": "pspnet", "encoder": args.teacher},
                "train": {"iterations": taught, "validate_every": taught, **recipe},
            },
        },
        "distiller": {"method": "afdcd", "groups": 8, "pool": 2, "patch": 2},
        "training": {
            "iterations": iterations,
            "validate_every": iterations,
            "precision": args.precision,
            **recipe,
        },
    }
    return checked_trial(values, CLASSES)


def _teacher(config: TrialConfig, device: torch.device) -> tuple[SegmentationNetwork, float]:
    """Trained by our side without a distiller; both sides get it as it is then, on the CPU."""
    trial = config.teacher_trial()
    learner = build_learner(trial, CLASSES, None, device)
    for iteration, images, labels in _batches(trial, device):
        learner.iterate(iteration, images, labels)
    teacher = learner.student
    score = _miou(teacher, trial, device)
    teacher.to(device="cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return teacher.eval().requires_grad_(False), score


def _ours(
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


def _official(config: TrialConfig, teacher: SegmentationNetwork, device: torch.device) -> Run:
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


def _scores(runs: Sequence[Run], side: str) -> list[float]:
    return [run.miou for run in runs if run.side == side]


def _last_losses(runs: Sequence[Run], side: str) -> list[float]:
    """Sum of the terms at the last point."""
    return [sum(v[-1] for v in run.terms.values()) for run in runs if run.side == side]


def _text(values: dict[str, Any], runs: Sequence[Run]) -> str:
    training, miou, loss = values["training"], values["miou"], values["last_loss"]
    title = (
        f"{values['pair']} on rendered street scenes: ours in {values['dtype']}, official in "
        f"float32; {training['iterations']} x {training['batch']} crops of "
        f"{values['crop'][0]}x{values['crop'][1]}"
    )
    return "\n\n".join(
        [
            heading(title, values),
            "Loss terms (weighted), mean over seeds and over the iterations up to",
            _losses(runs),
            f"mIoU % on val after the last iteration (teacher {100 * values['teacher_miou']:.2f})",
            _miou_table(miou, sorted({run.seed for run in runs})),
            f"mIoU: ours - official {100 * miou['difference']:+.2f} points{_chance(miou, 100, 2)}\n"
            f"last loss: ours - official {loss['difference']:+.4f}{_chance(loss, 1, 4)}",
        ]
    )


def _chance(found: dict[str, Any], scale: int, digits: int) -> str:
    """How large a difference is beside what another seed changes."""
    if found["spread"] is None:
        return ""
    error, spread = (f"{scale * found[key]:.{digits}f}" for key in ("standard_error", "spread"))
    within = "within" if found["within_spread"] else "MORE than"
    return f" (standard error {error}), {within} the {spread} between seeds"


def _losses(runs: Sequence[Run]) -> str:
    ends = runs[0].iterations
    shown = sorted({round(i * (len(ends) - 1) / (SHOWN - 1)) for i in range(SHOWN)})
    rows = []
    for term in runs[0].terms:
        for side in (OURS, OFFICIAL):
            curves = [run.terms[term] for run in runs if run.side == side]
            means = [f"{mean(curve[i] for curve in curves):.4f}" for i in shown]
            rows.append((term if side == OURS else "", side, *means))
    return table(("term", "side", *(str(ends[i]) for i in shown)), rows)


def _miou_table(miou: dict[str, Any], numbers: Sequence[int]) -> str:
    seeds = [f"seed {seed}" for seed in numbers]
    rows = [
        (side, *(f"{100 * score:.2f}" for score in miou[side]), f"{100 * mean(miou[side]):.2f}")
        for side in (OURS, OFFICIAL)
    ]
    return table(("side", *seeds, "mean"), rows)


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
