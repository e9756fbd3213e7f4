"""The search spaces that come with afdcd: `search_spaces/` of the repository, by name."""

import argparse
import difflib
import sys
from pathlib import Path

from afdcd.cli import run
from afdcd.config import UserError
from afdcd.paths import expanded

_INSTALLED = Path(__file__).with_name("search_spaces")  # setup.py puts them there in a wheel
_FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "search_spaces"
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
    parser = argparse.ArgumentParser(
        prog=prog,
        description="List the search spaces that come with afdcd, or copy one.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="copy")
    copy = commands.add_parser("copy", help="write one to a file of yours")
    copy.add_argument("name", metavar="NAME")
    copy.add_argument(
        "out", nargs="?", metavar="FILE.yaml", type=expanded, help="default: NAME.yaml, here"
    )
    return parser


def space_names() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def space_path(name: str) -> Path:
    """The file of a search space, `quickstart` for example.

    Raises:
        UserError: there is none of that name; lists those that there are.
    """
    names = space_names()
    if name in names:
        return _FOLDER / f"{name}.yaml"
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UserError(f"{name}: no search space of that name; {hint}there are: {', '.join(names)}")


def copy_space(name: str, out: str | None) -> Path:
    """Write a search space to a file of the person's; the file.

    Raises:
        UserError: no such space, or a file that is there already or cannot be written.
    """
    target = Path(out or f"{name}.yaml")
    text = space_path(name).read_text(encoding="utf-8")
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{target}: is there already; name another file") from None
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror})") from None
    return target


def _subject(path: Path) -> str:
    """The first sentence of a space's opening comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines if line.startswith("#"))
    return comment.partition(". ")[0].removesuffix(".")


if __name__ == "__main__":
    sys.exit(run(main))
