"""`afdcd track STUDY`: build the MLflow pages of a study anew."""

import argparse
import sys

from afdcd.cli import new_parser, run

EXAMPLE = """examples:
  afdcd track quickstart
  MLFLOW_TRACKING_URI=http://new-server:5000 afdcd track cityscapes

Everything MLflow shows of a study is in its database and its runs' journals. What is there already
stays; what is missing is added.
"""
PROG = "python -m afdcd.track"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands.track import execute

    return execute(arguments.study)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog, "Build the MLflow pages of a study anew, from what the study keeps itself.", EXAMPLE
    )
    parser.add_argument("study", metavar="STUDY", help="its name")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
