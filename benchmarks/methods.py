"""A whole training step with each method: time and memory beside `none`, for `step --method`."""

import argparse
from typing import Any

import torch

from afdcd.bench.report import Report, conditions, heading, megabytes, seconds
from afdcd.bench.timing import interleaved
from afdcd.distillers.configs import METHODS
from afdcd.text import table
from afdcd.training.peak_memory import peak_bytes
from benchmarks.pairs import (
    CLASSES,
    checked_trial,
    new_learner,
    random_batch,
    random_teacher,
    trial_of,
)

ALL = "all"
# Methods without one that is trained by itself, and without those that need to be told their parts.
CHOICES = [name for name, config in METHODS.items() if not config.PREPARES and name != "combined"]
HEADER = ("method", "ms/step: median (shortest-longest)", "x none", "peak MiB", "beyond none")


def measure_methods(args: argparse.Namespace, device: torch.device) -> Report:
    """Of the methods asked for, from equal weights, with their default settings, in turns."""
    names = CHOICES if ALL in args.method else ["none", *args.method]
    base = trial_of(args, device, pool=args.pool, patch=args.patch)
    teacher, calls, peaks = random_teacher(base, device), {}, {}
    images = random_batch(base, base.training.batch, device)
    for name in dict.fromkeys(names):
        plain = base.plain()
        chosen = plain["distiller"] if name == "afdcd" else {"method": name}
        config = checked_trial({**plain, "distiller": chosen}, CLASSES)
        learner = new_learner(config, teacher, device)
        calls[name] = lambda learner=learner: learner.iterate(0, *images)
        peaks[name] = peak_bytes(calls[name], device, settle=calls[name])
    timings = interleaved(calls, device, repeats=args.repeats)
    found = conditions(device)
    values: dict[str, Any] = {
        name: {"seconds": timings[name].plain(), "peak_bytes": peaks[name]} for name in timings
    }
    rows = [_cells(name, values, seconds(timings[name])) for name in timings]
    title = heading(f"Training step of {base.pair.label} with each method", found)
    return Report(
        f"{title}\n\n{table(HEADER, rows)}", {"command": "step", "methods": values, **found}
    )


def _cells(name: str, values: dict[str, Any], told: str) -> tuple[str, ...]:
    time, peak = (_of(values, name, key) for key in ("seconds", "peak_bytes"))
    plain_time, plain_peak = (_of(values, "none", key) for key in ("seconds", "peak_bytes"))
    beyond = None if peak is None or plain_peak is None else int(peak - plain_peak)
    times = "-" if time is None or not plain_time else f"{time / plain_time:.2f}"
    return name, told, times, megabytes(None if peak is None else int(peak)), megabytes(beyond)


def _of(values: dict[str, Any], name: str, key: str) -> float | None:
    found = values[name][key]
    return found["median"] if isinstance(found, dict) else found
