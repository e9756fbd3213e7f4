"""`python -m afdcd.tune`: search for the best student that a search space file allows."""

import argparse
import sys
from contextlib import nullcontext

from afdcd.cli import new_parser, run, without_collection
from afdcd.config import UserError
from afdcd.environment import storage_root
from afdcd.output import going_on_unread
from afdcd.paths import expanded
from afdcd.search.check_study import check_study
from afdcd.search.load import SearchSpace, read_space
from afdcd.text import shown

EXAMPLE = """examples:
  python -m afdcd.tune search_spaces/quickstart.yaml
  python -m afdcd.tune search_spaces/camvid-cpu.yaml data.root=/data/camvid study.trials=8
  ray job submit --working-dir . -- python -m afdcd.tune search_spaces/camvid.yaml data.root=s3://bucket/camvid

The same command goes on where a stopped or killed one was. Environment: AFDCD_STORAGE (where
everything is kept, default ~/afdcd-runs), MLFLOW_TRACKING_URI, AFDCD_STUDY_DB.
"""
PROG = "python -m afdcd.tune"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_intermixed_args(argv)
    space = read_space(arguments.space, arguments.overrides)
    check_study(space)
    if (arguments.cluster or arguments.measure) and not arguments.check:
        raise UserError(
            "--cluster and --measure are about a plan: add --check, which starts nothing"
        )
    if arguments.check:
        with nullcontext() if arguments.measure else without_collection():
            return _plan(space, arguments)
    with going_on_unread():
        trials = f"{space.study.runs} trials"
        print(f"study {space.name!r}: {trials}, kept in {shown(storage_root())}", flush=True)
        _check(space)
        from afdcd.commands.tune import execute

        return execute(space)


def _plan(space: SearchSpace, arguments: argparse.Namespace) -> int:
    """What `--check` says."""
    _check(space)
    from afdcd.commands.plan import tell

    print(f"{arguments.space}: valid, {len(space.examples)} corner configurations checked\n")
    return tell(space, arguments.cluster, measure=arguments.measure)


def _check(space: SearchSpace) -> None:
    """Check the networks too, whose libraries take seconds to import."""
    from afdcd.search.networks import check_networks, notes

    check_networks(space)
    for note in notes(space):
        print(f"note: {note}")


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog, "Search for the best student that a search space file allows.", EXAMPLE
    )
    parser.add_argument("space", metavar="SPACE.yaml", type=expanded, help="search space file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="replace a value of it")
    check = parser.add_argument_group("before anything is paid")
    check.add_argument(
        "--check", action="store_true", help="only check the file, and say what the study will cost"
    )
    check.add_argument(
        "--cluster",
        metavar="8xH100",
        help="with --check: where it would run; default: this machine",
    )
    check.add_argument(
        "--measure",
        action="store_true",
        help="with --check: time a few steps on this machine first",
    )
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
