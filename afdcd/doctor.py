"""`afdcd doctor`: what this machine and the cluster have, and what to mend before a study is started."""

import argparse
import sys

from afdcd.cli import new_parser, run
from afdcd.paths import expanded

PROG = "python -m afdcd.doctor"
_EXAMPLES = """examples:
  afdcd doctor                                       # this machine, and the cluster in RAY_ADDRESS
  afdcd doctor --from-worker --data /data/cityscapes # also from every node
  ray job submit --working-dir . -- python -m afdcd.doctor --from-worker"""


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands.doctor import execute

    return execute(from_worker=arguments.from_worker, data=arguments.data)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog,
        "Check versions, storage, databases, GPUs and the Ray cluster. Each line is ok, "
        "or says what to mend; the exit status is 1 if anything is to be mended.",
        _EXAMPLES,
    )
    parser.add_argument(
        "--from-worker",
        action="store_true",
        help="let every node of the cluster look, too: versions, storage, databases, shared memory, clock",
    )
    parser.add_argument(
        "--data",
        metavar="ROOT",
        type=expanded,
        help="a prepared data set: how fast its shards can be read",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
