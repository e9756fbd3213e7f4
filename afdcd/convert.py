"""`python -m afdcd.convert`: weights that others published, as a safetensors file."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.paths import expanded_path

EXAMPLE = """examples:
  python -m afdcd.convert deeplabv3_resnet101_citys.pth --out teacher.safetensors
  python -m afdcd.convert training.ckpt --out student.safetensors --part student --weights raw

Nothing in a file is run: it is read by torch.load(weights_only=True) alone. The exit status is 0 if
afdcd can use the weights, 1 if it cannot, 2 if the file was refused.
"""
PROG = "python -m afdcd.convert"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    args = parser(prog).parse_args(argv)
    from afdcd.commands.convert import execute

    return execute(args)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog,
        "Turn a PyTorch checkpoint into a safetensors file, and say what network it is.",
        EXAMPLE,
    )
    parser.add_argument(
        "file", metavar="FILE", type=expanded_path, help="what torch.save wrote: .pth, .pt, .ckpt"
    )
    parser.add_argument(
        "--out", metavar="FILE", type=expanded_path, required=True, help=".safetensors to write"
    )
    parser.add_argument(
        "--weights", choices=("ema", "raw"),
        help="which to take where a running average of the weights is there, too; default: ema",
    )  # fmt: skip
    parser.add_argument(
        "--part", metavar="NAME", help="which of several networks, e.g. student or teacher"
    )
    parser.add_argument(
        "--encoder", metavar="NAME", help="the encoder, where the file does not say it: timm:NAME"
    )
    parser.add_argument(
        "--any", action="store_true", help="write also what is no network of afdcd; exit status 0"
    )
    parser.add_argument("--force", action="store_true", help="replace --out if it is there")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
