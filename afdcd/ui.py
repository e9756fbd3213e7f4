"""`afdcd ui`: the MLflow page with the studies of this storage."""

import argparse
import sys

from afdcd.cli import run

PROG = "python -m afdcd.ui"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands.ui import execute

    return execute(arguments.port)


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Serve the MLflow page of AFDCD_STORAGE on this machine, until Ctrl-C. Where "
        "MLFLOW_TRACKING_URI names a server, only say which address to open.",
    )
    parser.add_argument("--port", type=int, default=5000, help="default: 5000")
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
