"""`python -m afdcd.evaluate`: score a network on a prepared data set, or export its predictions."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.data.catalog.splits import PROTOCOLS
from afdcd.paths import expanded
from afdcd.tasks.options import add_inference_options

EXAMPLE = """examples:
  python -m afdcd.evaluate models:/camvid-student@champion --data /data/camvid --split test
  python -m afdcd.evaluate student.safetensors --data /data/cityscapes --protocol official --split test
      --scales 0.5 0.75 1.0 1.25 1.5 1.75 --flip --export submission
"""
PROG = "python -m afdcd.evaluate"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    args = parser(prog).parse_args(argv)
    from afdcd.commands.evaluate import execute

    return execute(args)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog, "Score a network on a prepared data set, at the images' own size.", EXAMPLE
    )
    parser.add_argument(
        "model", metavar="MODEL", type=expanded, help=".safetensors file or models:/name@alias"
    )
    parser.add_argument(
        "--data",
        metavar="ROOT",
        required=True,
        type=expanded,
        help="folder or URI that afdcd.prepare wrote",
    )
    parser.add_argument("--dataset", help="what ROOT must hold; default: any")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="dev", help="default: dev")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="default: val")
    add_inference_options(parser)
    parser.add_argument(
        "--export", metavar="FOLDER", type=expanded,
        help="write predictions as PNG files in the values that the data set's own tools expect",
    )  # fmt: skip
    parser.add_argument(
        "--loader-workers", metavar="N", type=int, default=0,
        help="processes that decode; worth it on a GPU; default: 0, this process decodes",
    )  # fmt: skip
    parser.add_argument("--device", help="cpu, cuda, cuda:1; default: the GPU if there is one")
    parser.add_argument("--json", action="store_true", help="print the scores as a last JSON line")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
