"""Prepare a data set: judge every raw file, write Parquet shards and a manifest; or show one.

examples:
  python -m afdcd.prepare synthetic --out data/synthetic
  python -m afdcd.prepare camvid --source raw/CamVid --out s3://bucket/camvid --jpeg-quality 95
  python -m afdcd.prepare custom --source export --classes classes.yaml --out data/drone
  python -m afdcd.prepare show data/synthetic --out pictures

Unusable files are reported and left out. A run that was stopped goes on where it was when the same
command is given again. Shards are written in parallel: on the Ray cluster in RAY_ADDRESS (so under
`ray job submit`), else on this machine's CPUs.
"""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.data.catalog.datasets import COCO_STUFF_EDITIONS, DATASETS, SYNTHETIC
from afdcd.data.own.split_names import SPLIT_BY
from afdcd.data.synthetic.config import SyntheticConfig
from afdcd.paths import expanded, expanded_path

_COCO = "coco_stuff"
_RAW = sorted(
    DATASETS.keys() - {SYNTHETIC.name} - (set(COCO_STUFF_EDITIONS.values()) - {_COCO})
)  # its editions are chosen by --classes
CUSTOM = """examples:
  afdcd prepare custom --source export/ --draft classes.yaml
  afdcd prepare custom --source export/ --classes classes.yaml --out data/drone
docs/own_data.md shows every form that is known and what to do where a set says too little.
"""
PROG = "python -m afdcd.prepare"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands.prepare import execute

    return execute(arguments)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(prog, __doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in _RAW:
        raw = commands.add_parser(name, help=f"{name} from its published folders")
        _add_raw_arguments(raw)
        if name == _COCO:
            raw.add_argument(
                "--classes",
                type=int,
                choices=COCO_STUFF_EDITIONS,
                default=171,
                help="172: unlabeled pixels are a class; 182: raw numbers, of which 11 never occur",
            )
    _add_custom(
        commands.add_parser(
            "custom",
            help="your own pictures and labels",
            epilog=CUSTOM,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )
    synthetic = commands.add_parser("synthetic", help="rendered street scenes, no download")
    synthetic.add_argument("--out", required=True, type=expanded, help="folder or URI to write to")
    for name, info in SyntheticConfig.model_fields.items():
        synthetic.add_argument(
            f"--{name}", type=int, default=info.default, metavar="N", help="default %(default)s"
        )
    shown = commands.add_parser("show", help="figures, checksums, and two pictures")
    shown.add_argument("root", type=expanded, help="folder or URI of a prepared data set")
    shown.add_argument(
        "--out", default=".", type=expanded, help="folder or URI for the pictures; default here"
    )
    return parser


def _add_custom(custom: argparse.ArgumentParser) -> None:
    _add_raw_arguments(custom, drafts=True)
    custom.add_argument("--name", help="of the data set in studies and models; default: OUT's name")
    custom.add_argument(
        "--classes", metavar="FILE", type=expanded_path, help="what the labels mean (classes.yaml)"
    )
    custom.add_argument(
        "--draft", metavar="FILE", type=expanded_path,
        help="write what the labels hold to FILE, with a picture of each value, and stop",
    )  # fmt: skip
    custom.add_argument(
        "--ignore", metavar="VALUE", nargs="+", default=[],
        help="values, colours (r,g,b) or class names that neither train nor score",
    )  # fmt: skip
    custom.add_argument(
        "--background", metavar="NAME",
        help="class of what no annotation covers, or `ignore`; default: background",
    )  # fmt: skip
    custom.add_argument(
        "--split-by", choices=SPLIT_BY,
        help="default: as the set says; else whole folders, or frames of one name, together",
    )  # fmt: skip
    custom.add_argument("--mask-suffix", help="ending of the masks' names, e.g. _mask; else found")
    custom.add_argument(
        "--columns", metavar="A,B", help="of a Parquet set: pictures, labels; else found by type"
    )
    custom.add_argument(
        "--unlabelled", metavar="DIR", type=expanded_path,
        help="pictures without labels, which train by distillation alone",
    )  # fmt: skip


def _add_raw_arguments(raw: argparse.ArgumentParser, drafts: bool = False) -> None:
    raw.add_argument("--source", required=True, type=expanded_path, help="folder as downloaded")
    raw.add_argument("--out", required=not drafts, type=expanded, help="folder or URI to write to")
    raw.add_argument("--jpeg-quality", type=int, metavar="N", help="re-encode images, 4:4:4")
    raw.add_argument("--max-side", type=int, metavar="N", help="scale down to N pixels at most")
    raw.add_argument("--shards", type=int, metavar="N", help="per split; default 64 MiB each")
    raw.add_argument(
        "--strict", action="store_true", help="refuse unusable files and another number of images"
    )
    raw.add_argument(
        "--workers", type=int, metavar="N", help="default: all CPUs; 1: this process, without Ray"
    )


if __name__ == "__main__":
    sys.exit(run(main))
