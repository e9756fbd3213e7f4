"""`curve`: whether our fast path learns what the official formulation learns in fp32.

Both train one pair on rendered street scenes from equal weights, on equal batches and masks; what
differs is the arithmetic. Its effect is held against that of another seed.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial

import torch

from afdcd.bench.command import main_of
from afdcd.bench.report import OFFICIAL, OURS, Report, conditions
from afdcd.cli import run
from afdcd.config import UserError
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.data.synthetic.dataset import prepare_synthetic
from afdcd.distillers.algorithm import ALGORITHMS
from afdcd.paths import expanded, expanded_path
from afdcd.training.trial import TrialConfig
from benchmarks.curve_report import last_losses, scores, text_of, verdict
from benchmarks.curve_runs import CLASSES, official, ours, trained_teacher
from benchmarks.pairs import checked_trial, our_dtype
from benchmarks.plot import check_plot, draw

SCENES = SyntheticConfig(height=96, width=128, train=120, val=1, test=1)  # dev: 96 and 24 of train


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
        teacher, teacher_miou = trained_teacher(config, device)
        runs = [
            train(config.updated(training=config.training.updated(seed=seed)), teacher, device)
            for seed in (range(args.seeds) if args.seed is None else [args.seed])
            for train in (partial(ours, algorithm=args.algorithm), official)
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
        "miou": verdict(scores(runs, OURS), scores(runs, OFFICIAL)),
        "last_loss": verdict(last_losses(runs, OURS), last_losses(runs, OFFICIAL)),
        "runs": [asdict(run) for run in runs],
        **found,
    }
    if args.out:
        draw(values, args.out)
    return Report(text_of(values, runs), values)


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


if __name__ == "__main__":
    sys.exit(run(main_of(sys.modules[__name__])))
