"""`afdcd init`: a search space for a prepared data set, this machine and two networks of yours."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.paths import expanded, expanded_path

EXAMPLE = """examples:
  afdcd init --data data/drone --student pspnet/resnet18 --teacher deeplabv3/resnet101
  afdcd init --data data/drone --student pspnet/timm:mobilenetv3_small_050 \\
             --teacher models:/drone-teacher@champion --out drone-small.yaml

The file is to be read and changed. What it will cost is printed, nothing is started.
"""
PROG = "python -m afdcd.init"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands.init import execute

    return execute(arguments)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(prog, __doc__, EXAMPLE)
    parser.add_argument(
        "--data",
        required=True,
        metavar="DATA",
        type=expanded,
        help="folder or URI that `prepare` wrote",
    )
    parser.add_argument(
        "--student", required=True, metavar="HEAD/ENCODER", help="e.g. pspnet/resnet18"
    )
    parser.add_argument(
        "--teacher", required=True, metavar="HEAD/ENCODER", type=expanded,
        help="to be trained first, or weights that you have: a .safetensors file or models:/name@alias",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=expanded_path, metavar="FILE.yaml", help="default: the data set's name, here",
    )  # fmt: skip
    parser.add_argument(
        "--cluster",
        metavar="NxGPU",
        help="for which it is written, e.g. 8xH100; default: this machine",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
