"""One measurement of `prepare`, as a program of its own: a process that imported torch would hide what
a worker needs behind what importing took.
"""

import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from afdcd.data.catalog.datasets import SYNTHETIC
from afdcd.data.catalog.labels import Numbers
from afdcd.data.pairs import Layout, Pair
from afdcd.data.places import stamp
from afdcd.data.prepare.build import BuildOptions, build
from afdcd.data.prepare.part import Part, Progress, Receipt, Silent, write_part


def label_of(image: str) -> str:
    return f"{image.partition('.')[0]}_label.png"


def main(folder: Path, count: int, workers: int) -> dict[str, float]:
    """Prepare the first pictures of `folder`: one val pair, then `count` train pairs."""
    images = sorted(path.name for path in folder.iterdir() if "_label" not in path.name)
    pairs = [
        Pair("train" if number else "val", str(number), image, label_of(image))
        for number, image in enumerate(images[: count + 1])
    ]
    encoding = Numbers("train ids", SYNTHETIC.raw_to_train)
    layout = Layout(folder, "bench", encoding, tuple(pairs))
    size = sum(stamp(folder, place)[0] for p in pairs for place in (p.image, p.label))
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(workers + 1)
    with (
        tempfile.TemporaryDirectory(dir=folder.parent) as out,
        ProcessPoolExecutor(workers, context, initializer=ready.wait) as pool,
    ):
        idle = [pool.submit(_peak) for _ in range(workers)]  # one process is started for each
        ready.wait(timeout=120)
        written = _Workers(pool, idle=max(future.result() for future in idle))
        start = time.perf_counter()
        build(out, SYNTHETIC, layout, BuildOptions(), mapper=written)
        seconds = time.perf_counter() - start
    return {
        "images": len(pairs),
        "seconds": seconds,
        "images_per_second": len(pairs) / seconds,
        "megabytes_per_second": size / seconds / 1e6,
        "peak_bytes": max(written.peaks),
        "idle_bytes": written.idle,
    }


@dataclass
class _Workers:
    """Processes that write shards, and how much memory they took."""

    pool: ProcessPoolExecutor
    idle: int
    peaks: list[int] = field(default_factory=list)

    def __call__(self, root: str, parts: Sequence[Part], progress: Progress) -> Iterator[Receipt]:
        for receipt, peak in self.pool.map(_write, [root] * len(parts), parts):
            self.peaks.append(peak)
            yield receipt


def _write(root: str, part: Part) -> tuple[Receipt, int]:
    return write_part(root, part, Silent()), _peak()


def _peak() -> int:
    """Bytes; macOS counts in bytes, Linux in KiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
