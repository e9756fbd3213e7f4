"""One training run, and where its student is."""

from afdcd import storage
from afdcd.cli import INTERRUPTED
from afdcd.config import UserError
from afdcd.search.load import SearchSpace
from afdcd.search.run_study import run_single
from afdcd.training.artifacts import STUDENT_FILE


def execute(space: SearchSpace) -> int:
    """Run the one configuration of a checked space; the exit status.

    Raises:
        UserError: why it did not reach its end.
    """
    finished = run_single(space)
    if finished is None:
        print("interrupted; the same command goes on from here")
        return INTERRUPTED
    job, end = finished
    if end.outcome != "completed":
        raise UserError(f"{job.title}: {end.cause}")
    weights = storage.join(job.folder, STUDENT_FILE)
    print(f"{end.score} on {job.config.data.protocol}/val\nweights {weights}")
    return 0
