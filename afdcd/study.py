"""`afdcd study export|import`: one study as one file."""

import argparse
import sys
from pathlib import Path

from afdcd.cli import run
from afdcd.paths import expanded

EXAMPLE = """examples:
  afdcd study export cityscapes cityscapes.tar
  AFDCD_STORAGE=/elsewhere afdcd study import cityscapes.tar
  AFDCD_STORAGE=/elsewhere afdcd track cityscapes

A study's file holds its database rows and its folder: weights, checkpoints, journals, pictures, and
the teachers it is pinned to. `afdcd tune` goes on with a study that was begun elsewhere.
"""
PROG = "python -m afdcd.study"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands import study

    if arguments.action == "export":
        return study.execute_export(arguments.name, Path(arguments.file))
    return study.execute_import(Path(arguments.file))


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Save a whole study as one file, or restore it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="export|import")
    export = actions.add_parser("export", help="write a study of this storage to a file")
    export.add_argument("name", metavar="NAME", help="of the study")
    export.add_argument("file", metavar="FILE.tar", type=expanded)
    restore = actions.add_parser("import", help="put an exported study into this storage")
    restore.add_argument("file", metavar="FILE.tar", type=expanded)
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
