"""`afdcd report arena`: the rivals of a study side by side."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.paths import expanded

EXAMPLE = """examples:
  afdcd report arena arena-cityscapes
  afdcd report arena arena-cityscapes --out arena.png
  afdcd report arena arena-cityscapes --json > arena.json

An arena is a study whose runs are divided among rivals (study.budget_per). It is read from the study
database alone, also while the study runs, so AFDCD_STUDY_DB or AFDCD_STORAGE must be as its driver's are.
"""
PROG = "python -m afdcd.report"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands.report import execute_arena

    return execute_arena(arguments.name, arguments.out, as_json=arguments.json)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(prog, "Report what a study says.", EXAMPLE)
    reports = parser.add_subparsers(dest="report", required=True, metavar="arena")
    arena = reports.add_parser("arena", help="methods side by side: scores, ranks, costs")
    arena.add_argument("name", metavar="NAME", help="of the study")
    arena.add_argument("--out", metavar="FILE.png", type=expanded, help="draw it, too")
    arena.add_argument("--json", action="store_true", help="print it as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
