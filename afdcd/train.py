"""`python -m afdcd.train`: one training run, which is exactly a trial without the search."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.config import UserError
from afdcd.output import going_on_unread
from afdcd.paths import expanded
from afdcd.search.load import read_space

EXAMPLE = """examples:
  python -m afdcd.train one.yaml
  python -m afdcd.train one.yaml training.lr=0.01 distiller.method=kd

one.yaml is a search space file without ranges (a `study:` section is ignored). The same command
goes on where a stopped or killed one was.
"""
PROG = "python -m afdcd.train"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_intermixed_args(argv)
    space = read_space(arguments.config, arguments.overrides)
    if len(space.examples) != 1:
        raise UserError(f"{arguments.config}: holds ranges; use afdcd.tune, or fix each to a value")
    with going_on_unread():
        from afdcd.search.networks import check_networks, notes

        check_networks(space)
        for note in notes(space):
            print(f"note: {note}")
        from afdcd.commands.train import execute

        return execute(space)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(prog, "One training run: a trial without the search.", EXAMPLE)
    parser.add_argument("config", metavar="CONFIG.yaml", type=expanded)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
