"""What a person asks of a study, or wants to know of it, from another terminal than its driver's."""

import time
from collections import Counter
from typing import Any

from optuna.trial import TrialState

from afdcd.config import Source, UserError
from afdcd.environment import study_database
from afdcd.search import holder, leases, rows, wishes
from afdcd.search.book import Book, waiting_reference
from afdcd.search.kept import Kept
from afdcd.search.leases import Held
from afdcd.search.load import reference_of
from afdcd.search.records import is_maximised, job_of
from afdcd.search.rows import Entry, ranked, standing
from afdcd.search.space import SEED, parse_ranges, without_seed
from afdcd.search.watched import Watched
from afdcd.tasks.score import SELECTED_BY, Score
from afdcd.training import pulse
from afdcd.yaml_text import parse_yaml

PATIENCE = 60.0  # seconds; a driver looks for wishes every few seconds and ends its runs within ten


def driver_of(name: str) -> Held | None:
    """Who drives a study now; of another machine's also one that was killed, until it is taken over."""
    engine = leases.connect(study_database())
    try:
        held = leases.read(engine, f"study {name}")
    finally:
        engine.dispose()
    gone = held is None or not held.holder or holder.has_ended(held.process)
    return None if gone else held


def status(kept: Kept) -> list[str]:
    """A study in a few lines: who drives it, how far it is, what runs now."""
    everything, driver = Book(kept.study).everything(), driver_of(kept.study.study_name)
    entries = standing(everything)
    counts = Counter(entry.outcome or "running" for entry in entries)
    runs = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "none yet"
    queued = sum(1 for e in everything if e.state == TrialState.WAITING)
    lines = [
        f"study {kept.study.study_name} ({kept.id}): "
        + (f"driven by {driver}" if driver else "no driver; `afdcd tune` goes on with it"),
        f"runs: {runs}" + (f"; {queued} queued" if queued else ""),
        f"cost: {sum(entry.device_hours for entry in entries):.3f} device-hours",
    ]
    for best in ranked(entries, maximise=is_maximised(kept.study))[:1]:
        score = Score(name=SELECTED_BY, value=best.value or 0.0)
        lines.insert(2, f"best: {score} (trial {best.run})")
    return lines + [_running(kept, e) for e in entries if e.outcome is None and e.setting]


def stop(kept: Kept) -> str:
    """Ask the driver to end its runs in order, and wait until it did; what came of it.

    Raises:
        UserError: it does not answer.
    """
    name = kept.study.study_name
    driver = driver_of(name)
    if driver is None:
        return f"study {name}: no driver runs it, so there is nothing to stop"
    wishes.ask_to_stop(kept.study)
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        now = driver_of(name)
        if now is None or now.token != driver.token:
            return f"study {name}: stopped; `afdcd tune` goes on with it"
        time.sleep(0.5)
    raise UserError(
        f"study {name}: asked {driver}, which has not stopped for {PATIENCE:.0f} s; if it is gone, "
        "nothing need be done: the next driver takes over"
    )


def extend(kept: Kept, count: int) -> str:
    """Give a study so many trials more than it was to have.

    Raises:
        UserError: no trial more.
    """
    if count < 1:
        raise UserError(f"{count}: give the number of trials to add, at least 1")
    total = wishes.trials_of(kept.study, int(_written(kept)["trials"])) + count
    wishes.extend(kept.study, total)
    return f"study {kept.study.study_name}: {total} trials in all; {_who_goes_on(kept)}"


def enqueue(kept: Kept, text: str) -> str:
    """Queue a setting, as under `study.enqueue` in a search space file; it runs at full length.

    Raises:
        UserError: not in the study's search space.
    """
    name = kept.study.study_name
    setting, source = parse_yaml(text, "SETTING")
    space = parse_ranges(_written(kept)["space"], Source(f"study {name}"))
    reference = reference_of(space, setting, source, ())
    book, values = Book(kept.study), without_seed(reference)
    extra = {rows.EXTRA: True}
    known = any(e.asked == values or e.searched == values for e in book.everything())
    if SEED in reference and not known:
        book.add(waiting_reference(values, **extra))  # the trial that it is a run of
    book.add(waiting_reference(reference, **extra))
    told = ", ".join(f"{path}={value}" for path, value in reference.items())
    return f"study {name}: queued {told}; {_who_goes_on(kept)}"


def _written(kept: Kept) -> dict[str, Any]:
    """What the study's file says, as its driver noted it."""
    written = kept.study.user_attrs.get(wishes.WRITTEN)
    if written is None:
        name = kept.study.study_name
        raise UserError(
            f"study {name}: its search space is not known yet; start it with afdcd tune"
        )
    return dict(written)


def _who_goes_on(kept: Kept) -> str:
    driver = driver_of(kept.study.study_name)
    return f"{driver} takes it up" if driver else "`afdcd tune` goes on with it"


def _running(kept: Kept, entry: Entry) -> str:
    job = job_of(entry, kept.folder)
    found = pulse.read(job.folder)
    run = Watched(job, 0.0, pulse=found)
    heard = f"  heard {time.time() - found.at:.0f} s ago" if found else ""
    return f"{run}{heard}"
