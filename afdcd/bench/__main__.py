"""`python -m afdcd.bench`: what an installed afdcd measures of itself.

What needs the official formulations beside it is in `benchmarks/` of the repository.
"""

import argparse
import sys

from afdcd.bench import prepare, search, service
from afdcd.bench.command import add_arguments, describe, print_report
from afdcd.cli import new_parser, run

COMMANDS = {"prepare": prepare, "search": search, "service": service}
EXAMPLE = """examples:
  python -m afdcd.bench prepare --large 16 --small 400
  python -m afdcd.bench search --seeds 4 --budget 20
  python -m afdcd.bench service --against ../other-checkout

Beside the official formulations, from the repository's root:
  python -m benchmarks.step
"""
PROG = "python -m afdcd.bench"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    args = parser(prog).parse_args(argv)
    print_report(COMMANDS[args.command], args)
    return 0


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(prog, "Measure afdcd on this machine.", EXAMPLE)
    chosen = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        add_arguments(
            chosen.add_parser(name, help=describe(command), description=describe(command)), command
        )
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
