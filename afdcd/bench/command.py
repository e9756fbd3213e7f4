"""One benchmark as a command: its arguments, the device it runs on, and how its report is printed."""

import argparse
import json
from collections.abc import Callable
from types import ModuleType


def add_arguments(parser: argparse.ArgumentParser, benchmark: ModuleType) -> None:
    """The benchmark's own arguments, and those that all of them share."""
    benchmark.add_arguments(parser)
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: the GPU if there is one")
    parser.add_argument("--json", action="store_true", help="print all values as a last JSON line")


def print_report(benchmark: ModuleType, args: argparse.Namespace) -> None:
    """Measure, and print what came of it.

    Raises:
        UserError: arguments that cannot be measured, a device that is not there.
    """
    import torch

    from afdcd.tasks.device import choose_device

    device = choose_device(args.device)
    if device.index is not None:
        torch.cuda.set_device(device)  # whose memory and events are meant by default
    report = benchmark.measure(args, device)
    print(report.text)
    if args.json:
        print(json.dumps(report.values))


def describe(benchmark: ModuleType) -> str:
    """What a benchmark measures: the first sentence of its module, without its name."""
    return (benchmark.__doc__ or "").partition(": ")[2]


def main_of(benchmark: ModuleType) -> Callable[[list[str] | None], int]:
    """The `main` of a benchmark that is a command of its own: `python -m benchmarks.NAME`."""

    def main(argv: list[str] | None = None) -> int:
        name = benchmark.__spec__.name if benchmark.__spec__ else benchmark.__name__
        parser = argparse.ArgumentParser(prog=f"python -m {name}", description=describe(benchmark))
        add_arguments(parser, benchmark)
        print_report(benchmark, parser.parse_args(argv))
        return 0

    return main
