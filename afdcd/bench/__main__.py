"""`python -m afdcd.bench`: what the project's figures of speed and memory are measured with."""

import argparse
import json
import sys

import torch

from afdcd.cli import run
from afdcd.tasks.device import choose_device

EXAMPLE = """examples, from the repository's root:
  python -m afdcd.bench loss
  python -m afdcd.bench step --device cuda --teacher resnet101 --student resnet18 --profile
  python -m afdcd.bench table4 --device cuda --crop 512 1024
  python -m afdcd.bench curve --iterations 60 --out curve.png
  python -m afdcd.bench data
  python -m afdcd.bench prepare --large 16 --small 400
"""


def main(argv: list[str] | None = None) -> int:
    # Here, so that a missing tests/reference is one line.
    from afdcd.bench import curve, data, loss, prepare, step, table4

    commands = {
        "loss": loss,
        "step": step,
        "table4": table4,
        "curve": curve,
        "data": data,
        "prepare": prepare,
    }
    parser = argparse.ArgumentParser(
        prog="python -m afdcd.bench",
        description="Measure this project and the official formulation of Af-DCD side by side.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    chosen = parser.add_subparsers(dest="command", required=True)
    for name, command in commands.items():
        described = (command.__doc__ or "").partition(": ")[2]
        sub = chosen.add_parser(name, help=described, description=described)
        command.add_arguments(sub)
        sub.add_argument("--device", help="cpu, cuda, cuda:1; default: the GPU if there is one")
        sub.add_argument("--json", action="store_true", help="print all values as a last JSON line")
    args = parser.parse_args(argv)
    device = choose_device(args.device)
    if device.index is not None:
        torch.cuda.set_device(device)  # whose memory and events are meant by default
    report = commands[args.command].measure(args, device)
    print(report.text)
    if args.json:
        print(json.dumps(report.values))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
