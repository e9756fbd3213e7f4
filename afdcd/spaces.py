"""The search spaces that come with afdcd: `search_spaces/` of the repository, by name."""

import argparse
import sys
from pathlib import Path

from afdcd.cli import new_parser, run
from afdcd.paths import expanded
from afdcd.space_files import space_names, space_path, write_new

PROG = "python -m afdcd.spaces"
EXAMPLE = """examples:
  afdcd spaces                    what there is
  afdcd spaces copy quickstart    writes quickstart.yaml here, to read and to change
"""


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    if arguments.command == "copy":
        print(copy_space(arguments.name, arguments.out))
    else:
        width = max(map(len, space_names()))
        for name in space_names():
            print(f"{name:{width}}  {_subject(space_path(name))}")
    return 0


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(prog, "List the search spaces that come with afdcd, or copy one.", EXAMPLE)
    commands = parser.add_subparsers(dest="command", metavar="copy")
    copy = commands.add_parser("copy", help="write one to a file of yours")
    copy.add_argument("name", metavar="NAME")
    copy.add_argument(
        "out", nargs="?", metavar="FILE.yaml", type=expanded, help="default: NAME.yaml, here"
    )
    return parser


def copy_space(name: str, out: str | None) -> Path:
    """Write a search space to a file of the person's; the file.

    Raises:
        UserError: no such space, or a file that is there already or cannot be written.
    """
    target = Path(out or f"{name}.yaml")
    write_new(target, space_path(name).read_text(encoding="utf-8"))
    return target


def _subject(path: Path) -> str:
    """The first sentence of a space's opening comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    return comment.partition(". ")[0].removesuffix(".")


if __name__ == "__main__":
    sys.exit(run(main))
