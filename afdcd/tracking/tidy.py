"""Runs of no study that a killed process left RUNNING, and that nobody went on with.

A study's own runs are brought up to date when the study goes on. A teacher, or a run of `afdcd train`,
is known by its folder: where its last sign of life is old, nobody works on it.
"""

import time
from collections.abc import Callable

from afdcd.tracking.pages import JOB, STUDY, Place

ABANDONED = 1800.0  # seconds without a sign of life; a long validation gives none
LastSign = Callable[[str, str], float | None]  # job's and run's name -> Unix seconds


def tidy(place: Place, last_sign: LastSign) -> list[str]:
    """Close as KILLED what was abandoned; the names of those runs.

    Args:
        last_sign: when a run of this storage was last heard of; None for one of another storage,
            which is left alone.
    """
    query = "attributes.status = 'RUNNING'"
    closed = []
    for run in place.client.search_runs([place.experiment], query, max_results=1000):
        tags = run.data.tags
        if STUDY in tags or JOB not in tags:
            continue
        heard = last_sign(tags[JOB], run.info.run_name)
        if heard is not None and time.time() - heard > ABANDONED:
            place.client.set_tag(run.info.run_id, "outcome", "killed")
            place.client.set_terminated(run.info.run_id, "KILLED", int(1000 * heard))
            closed.append(run.info.run_name)
    return closed
