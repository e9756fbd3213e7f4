"""`afdcd doctor`: what this machine has, and what to mend before a study is started."""

import argparse
import sys

from afdcd.cli import run

PROG = "python -m afdcd.doctor"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    parser(prog).parse_args(argv)
    from afdcd.commands.doctor import execute

    return execute()


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=prog,
        description="Check versions, storage, databases, Ray and GPU of this machine. Each line "
        "is ok, or says what to do; the exit status is 1 if anything is to be mended.",
    )


if __name__ == "__main__":
    sys.exit(run(main))
