"""What a large prepared set takes in memory: of the process that opens it, of each that loads."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import psutil

from afdcd.data.images import encode_label, encode_png
from afdcd.data.shards.parquet import Row
from afdcd.data.shards.rows import open_split
from afdcd.data.train.config import DataConfig
from afdcd.data.train.loader import train_batches
from afdcd.text import table
from benchmarks.scenes import write_set

DATASET = "coco_stuff"
SIDE = 32
BATCH = 8
POINTS = 5  # at which memory is looked at while batches come
MIB = 2**20


def footprint(rows: int, shards: int, batches: int) -> dict[str, Any]:
    """RSS and USS in bytes: at the start, with the set open, and while batches of 0 and 2 processes come.

    USS is what a process holds for itself alone; a forked one shares the rest with its parent.
    """
    shards = min(shards, rows)
    with tempfile.TemporaryDirectory() as root:
        write_set(root, DATASET, _shards(rows, shards), shards)
        # In a new process: what this one freed after writing would hide what opening takes.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            found = fresh.submit(_measured, root, batches).result()
    opening = found["opened"]["uss"] - found["before"]["uss"]
    sizes = {"rows": rows, "shards": shards, "batches": batches, "bytes_per_row": opening / rows}
    return {**sizes, **found}


def _measured(root: str, batches: int) -> dict[str, Any]:
    before = _memory(psutil.Process())
    split = open_split(root, DATASET, "official", "train")
    opened = _memory(psutil.Process())
    del split
    loading = {str(workers): _loading(root, workers, batches) for workers in (0, 2)}
    return {"before": before, "opened": opened, "loading": loading}


def footprint_text(found: dict[str, Any]) -> str:
    lines = [("before opening", *_cells(found["before"])), ("opened", *_cells(found["opened"]))]
    for workers, series in found["loading"].items():
        for name, points in series.items():
            for done, memory in points:
                lines.append((f"{workers} loaders, {name}, {done} batches", *_cells(memory)))
    return "\n".join(
        [
            f"{found['rows']} rows in {found['shards']} shards: "
            f"{found['bytes_per_row']:.0f} bytes a row in the process that opens them",
            table(("when", "RSS MiB", "USS MiB"), lines),
        ]
    )


def _loading(root: str, workers: int, batches: int) -> dict[str, list[tuple[int, dict[str, int]]]]:
    """Memory of this process and of the largest loader process, by the number of batches."""
    config = DataConfig(
        dataset=DATASET, root=root, protocol="official", crop=(SIDE, SIDE), loader_workers=workers
    )
    series: dict[str, list[tuple[int, dict[str, int]]]] = {"main": []}
    others = {child.pid for child in psutil.Process().children()}
    loaded = train_batches(
        config, root, seed=0, batch=BATCH, rank=0, world=1, start=0, stop=batches
    )
    for done, _ in enumerate(loaded, 1):
        if done % max(1, batches // POINTS):
            continue
        series["main"].append((done, _memory(psutil.Process())))
        loaders = [c for c in psutil.Process().children() if c.pid not in others]
        held = [_memory(child) for child in loaders[:workers]]
        if held:
            largest = max(held, key=lambda memory: memory["rss"])
            series.setdefault("loader", []).append((done, largest))
    return series


def _memory(process: psutil.Process) -> dict[str, int]:
    found = process.memory_full_info()
    return {"rss": found.rss, "uss": found.uss}


def _cells(memory: dict[str, int]) -> tuple[str, str]:
    return f"{memory['rss'] / MIB:.1f}", f"{memory['uss'] / MIB:.1f}"


def _shards(rows: int, shards: int) -> Iterator[list[Row]]:
    pixels = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    image, label = encode_png(pixels), encode_label(pixels[:, :, 0])
    for shard in range(shards):
        numbers = range(shard * rows // shards, (shard + 1) * rows // shards)
        yield [Row(f"{number:012d}", image, label, SIDE, SIDE) for number in numbers]
