"""`python -m afdcd.train`: one training run, which is exactly a trial without the search."""

import argparse
import sys

from afdcd import storage
from afdcd.cli import INTERRUPTED, run
from afdcd.config import UserError
from afdcd.search.load import load_space
from afdcd.search.preflight import notes
from afdcd.search.progress import percent
from afdcd.search.run_study import run_single
from afdcd.training.artifacts import STUDENT_FILE

EXAMPLE = """examples:
  python -m afdcd.train one.yaml
  python -m afdcd.train one.yaml training.lr=0.01 distiller.method=kd

one.yaml is a search space file without ranges (a `study:` section is ignored). The same command
goes on where a stopped or killed one was.
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m afdcd.train",
        description="One training run: a trial without the search.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_intermixed_args(argv)
    space = load_space(arguments.config, arguments.overrides)
    if len(space.examples) != 1:
        raise UserError(f"{arguments.config}: holds ranges; use afdcd.tune, or fix each to a value")
    for note in notes(space):
        print(f"note: {note}")
    finished = run_single(space)
    if finished is None:
        print("interrupted; the same command goes on from here")
        return INTERRUPTED
    job, end = finished
    if end.outcome != "completed":
        raise UserError(f"{job.title}: {end.cause}")
    weights = storage.join(job.folder, STUDENT_FILE)
    print(
        f"mIoU {percent(end.result['miou'])} on {job.config.data.protocol}/val\nweights {weights}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
