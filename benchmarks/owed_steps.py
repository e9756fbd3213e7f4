"""What is owed, as data: for each figure its command, its minutes on a GPU, and its one line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Step:
    """One command that pays one figure or a few.

    Attributes:
        minutes: expected on one H100 or H200, compiling included.
        command, tiny: after `python -m`; `tiny` tries the same code on a CPU.
        shown: the result in one line, from the command's JSON.
    """

    name: str
    pays: str
    minutes: float
    command: tuple[str, ...]
    tiny: tuple[str, ...]
    shown: Callable[[Values], str]

    def arguments(self, *, tiny: bool) -> list[str]:
        given, device = (self.tiny, "cpu") if tiny else (self.command, "cuda")
        return ["-m", *given, "--device", device, "--json"]


def _sides(found: Values) -> str:
    """Of `step`: each side's time and memory, and how the first compares with the others."""
    parts = []
    for name, side in found["sides"].items():
        spent = f"{1e3 * side['seconds']['median']:.1f} ms" if side["seconds"] else "does not fit"
        peaks = "/".join(_gib(side[key]) for key in ("peak_bytes", "peak_bytes_2_images"))
        against = found["against"].get(name, {}).get("speedup")
        parts.append(f"{name} {spent}, {peaks} GiB" + (f" ({against:.2f}x)" if against else ""))
    return "; ".join(parts)


def _gib(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**30:.2f}"


def _tests(found: Values) -> str:
    failed = f"; FAILED: {', '.join(found['failed'])}" if found["failed"] else ""
    return f"{found['passed']} passed, {len(found['skipped'])} skipped{failed}"


def _beside(found: Values) -> str:
    rates = ", ".join(f"{name} {rate:.1f}/s" for name, rate in found["images_per_second"].items())
    return f"{found['loaded_over_memory']:.2f} of the speed ({rates}; {found['cores']} cores)"


def _validation(found: Values) -> str:
    rates = ", ".join(f"{name} {rate:.1f}/s" for name, rate in found["images_per_second"].items())
    return f"{found['speedup']:.2f}x ({rates}; {found['loader_workers']} of {found['cores']} cores)"


def _curve(found: Values) -> str:
    ours, official = (100 * found["miou"][side][0] for side in ("ours", "official"))
    return f"mIoU ours {ours:.2f} %, official {official:.2f} % (teacher {100 * found['teacher_miou']:.2f} %)"


def _table4(found: Values) -> str:
    rows = (row for row in found["rows"] if row["sides"])
    return "; ".join(f"{row['patch']}: {_spent(row['sides'])}" for row in rows)


def _spent(sides: Values) -> str:
    spent = (sides[side]["seconds"] for side in ("ours", "official"))
    return " / ".join(f"{1e3 * s['median']:.1f}" if s else "-" for s in spent) + " ms"


def _loss(found: Values) -> str:
    keys = ("projector", "contrast", "loss")
    told = ((key, found[f"{key}_speedup"]) for key in keys)
    return f"{found['summary_of']}: " + ", ".join(
        f"{key} {'-' if speedup is None else f'{speedup:.2f}x'}" for key, speedup in told
    )


_NETWORKS = ("--teacher", "timm:mobilenetv3_small_050", "--student", "timm:lcnet_050")
_SMALL = (*_NETWORKS, "--head", "pspnet", "--groups", "2", "--crop", "128", "128")
_ONCE = (*_SMALL, "--batch", "2", "--repeats", "1")

_CURVE = (
    *(
        "benchmarks.curve",
        "--teacher",
        "resnet101",
        "--student",
        "resnet18",
        "--crop",
        "128",
        "192",
    ),
    *("--batch", "16", "--iterations", "300", "--lr", "0.02", "--algorithm", "kept+winograd"),
)
_SHORT_CURVE = ("benchmarks.curve", "--iterations", "2", "--batch", "2", "--crop", "64", "64")


def _seed(number: int) -> Step:
    seed = ("--seed", str(number))
    return Step(
        f"curve-seed-{number}",
        "bf16 against fp32: what is learned",
        1.5,
        (*_CURVE, *seed),
        (*_SHORT_CURVE, *seed),
        _curve,
    )


def _step(name: str, pays: str, minutes: float, *options: str, tiny: tuple[str, ...] = ()) -> Step:
    command = ("benchmarks.step", *options)
    return Step(name, pays, minutes, command, (*command, *(tiny or _ONCE)), _sides)


# In order of worth.
STEPS: tuple[Step, ...] = (
    _step(
        "step-bf16",
        "the step at equal precision; peak memory at 16 and 2 images",
        2.5,
        *("--repeats", "3", "--sides", "ours", "official-bf16", "official"),
    ),
    _step(
        "step-bf16-compiled",
        "the step at equal precision, the official side compiled",
        3,
        *("--repeats", "3", "--sides", "ours", "official-bf16-compiled"),
    ),
    Step(
        "gpu-tests",
        "the tests that only a GPU runs",
        2,
        ("benchmarks.gpu_tests",),
        ("benchmarks.gpu_tests", "tests/data/train/test_to_device.py"),
        _tests,
    ),
    Step(
        "beside",
        "loading beside training",
        2,
        ("benchmarks.beside", "--repeats", "2"),
        (
            *("benchmarks.beside", *_ONCE, "--size", "160", "320"),
            *("--pictures", "2", "--steps", "2", "--loader-workers", "1"),
        ),
        _beside,
    ),
    Step(
        "validation",
        "validation with loader processes and without",
        1.5,
        ("benchmarks.validation",),
        (
            *("benchmarks.validation", "--head", "pspnet", "--student", "timm:lcnet_050"),
            *("--size", "64", "128", "--pictures", "3", "--repeats", "1", "--loader-workers", "1"),
        ),
        _validation,
    ),
    *map(_seed, range(5)),
    _step(
        "step-tf32",
        "the step at equal precision, in fp32 with TF32",
        2.5,
        *("--repeats", "3", "--sides", "ours-tf32", "official"),
    ),
    _step(
        "step-patch16",
        "patch 16 as a whole step",
        1.5,
        *("--repeats", "3", "--sides", "ours", "--pool", "0", "--patch", "16"),
    ),
    _step(
        "step-patch16-2-images",
        "patch 16 as a whole step, 2 images",
        1.5,
        *("--repeats", "3", "--sides", "ours", "--pool", "0", "--patch", "16", "--batch", "2"),
    ),
    Step(
        "table4",
        "Table 4 of the paper's supplement (ours / official)",
        3,
        ("benchmarks.table4", "--compile", "off", "--repeats", "3"),
        ("benchmarks.table4", *_ONCE),
        _table4,
    ),
    Step(
        "loss",
        "projector, contrast and whole loss by themselves",
        2,
        ("benchmarks.loss", "--repeats", "3"),
        (
            *(
                "benchmarks.loss",
                "--channels",
                "16",
                "--student-channels",
                "8",
                "--map",
                "16",
                "32",
            ),
            *("--groups", "4", "--repeats", "1"),
        ),
        _loss,
    ),
)
