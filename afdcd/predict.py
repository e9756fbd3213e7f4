"""`python -m afdcd.predict`: label pictures with a network."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.data.formats import SUFFIXES
from afdcd.paths import expanded, expanded_path
from afdcd.tasks.options import add_inference_options

EXAMPLE = """example:
  python -m afdcd.predict models:/camvid-student@champion photos/ street.jpg --out labelled/
"""
PROG = "python -m afdcd.predict"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    args = parser(prog).parse_args(argv)
    from afdcd.commands.predict import execute

    return execute(args)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog, "Label pictures: for each a palette mask (.png) and a tint (_overlay.jpg).", EXAMPLE
    )
    parser.add_argument(
        "model", metavar="MODEL", type=expanded, help=".safetensors file or models:/name@alias"
    )
    parser.add_argument(
        "images", metavar="IMAGES", nargs="+", type=expanded_path,
        help=f"files, or folders searched for {', '.join(SUFFIXES)}",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", type=expanded_path, required=True, help="folder to write to"
    )
    parser.add_argument(
        "--alpha", type=_share, default=0.5, help="tint of the overlay, 0..1; default: 0.5"
    )
    add_inference_options(parser)
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: the GPU if there is one")
    return parser


def _share(text: str) -> float:
    if not 0 <= (value := float(text)) <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(run(main))
