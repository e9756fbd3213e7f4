"""What a measurement says of itself: rows of one table, the conditions they were taken under."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from afdcd.text import table

if TYPE_CHECKING:
    import torch

    from afdcd.bench.timing import Timing

OURS, OFFICIAL = "ours", "official"


@dataclass(frozen=True)
class Report:
    """A text for people and the same as JSON-compatible values."""

    text: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One measured call: `timing` or `peak` (bytes) is None where it did not fit in memory."""

    what: str
    side: str
    shape: str
    dtype: str
    timing: "Timing | None"
    peak: int | None
    algorithm: str | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            self.side,
            self.shape,
            self.dtype,
            seconds(self.timing),
            megabytes(self.peak),
        )

    def plain(self, conditions: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "what": self.what,
            "side": self.side,
            "algorithm": self.algorithm,
            "shape": self.shape,
            "dtype": self.dtype,
            "seconds": self.timing.plain() if self.timing else None,
            "peak_bytes": self.peak,
            **conditions,
        }


HEADER = ("what", "side", "shape", "dtype", "ms: median (shortest-longest)", "peak MiB")


def rows_table(rows: Sequence[Row]) -> str:
    return table(HEADER, [row.cells for row in rows])


def conditions(device: "torch.device") -> dict[str, Any]:
    """Where a measurement was taken: what every row of its JSON repeats."""
    import torch

    from afdcd.training.peak_memory import memory_method

    return {
        "device": device.type,
        "device_name": device_name(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "memory": memory_method(device),
    }


def device_name(device: "torch.device") -> str:
    if device.type == "cuda":
        import torch

        return torch.cuda.get_device_name(device)
    return _processor() or platform.machine()


def _processor() -> str:
    """The CPU's name, which Linux alone tells in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else ""


def heading(title: str, found: Mapping[str, Any]) -> str:
    return (
        f"{title}\n{found['device_name']}, torch {found['torch']}, {found['threads']} threads; "
        f"memory: {found['memory']}"
    )


def seconds(timing: "Timing | None") -> str:
    if timing is None:
        return "-"
    low, high = timing.low * 1e3, timing.high * 1e3
    return f"{timing.median * 1e3:.1f} ({low:.1f}-{high:.1f})"


def megabytes(peak: int | None) -> str:
    return "does not fit" if peak is None else f"{peak / 2**20:.1f}"


def ratio(over: float | None, under: float | None) -> float | None:
    """None where one of the two was not to be had."""
    return over / under if over is not None and under else None


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"
