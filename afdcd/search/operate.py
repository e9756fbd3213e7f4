"""What a person asks of a study, or wants to know of it, from another terminal than its driver's."""

import math
import time
from collections import Counter
from typing import Any

from optuna.trial import TrialState

from afdcd.config import Source, UserError, validate
from afdcd.environment import study_database
from afdcd.search import holder, leases, rows, wishes
from afdcd.search.book import Book, waiting_reference
from afdcd.search.config import BudgetConfig
from afdcd.search.earlier import in_present_keys
from afdcd.search.explain import chosen_of
from afdcd.search.kept import Kept
from afdcd.search.leases import Held
from afdcd.search.ledger import other_hours, worked_hours
from afdcd.search.load import reference_of
from afdcd.search.records import is_maximised, job_of
from afdcd.search.rows import Entry, ranked, standing
from afdcd.search.space import SEED, parse_ranges, without_seed
from afdcd.search.watched import Watched, duration
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
        f"cost: {_cost(kept, entries)}",
    ]
    lines[2:2] = _best(kept, ranked(entries, maximise=is_maximised(kept.study)))
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


def extend(kept: Kept, count: int | None = None, **more: float) -> str:
    """Give a study so many trials more than it was to have, and a larger budget.

    Args:
        more: what to add to a limit of its budget, e.g. `device_hours`.

    Raises:
        UserError: nothing more, or a limit that the study does not have.
    """
    written, name, told = _written(kept), kept.study.study_name, []
    limits = _limits(kept)
    totals = {key: (getattr(limits, key) or 0) + added for key, added in more.items()}
    for key, total in totals.items():
        if getattr(limits, key) is None:
            raise UserError(f"study {name}: has no study.budget.{key}, so nothing is to be raised")
        if not 0 < more[key] < math.inf:
            raise UserError(f"{more[key]:g}: give what to add to study.budget.{key}, more than 0")
        told.append(f"study.budget.{key} {total:g}")
    if count is not None or not more:
        if not count or count < 1:
            raise UserError(f"{count or 0}: give the number of trials to add, at least 1")
        trials = wishes.trials_of(kept.study.user_attrs, int(written["trials"])) + count
        wishes.extend(kept.study, trials)
        told.insert(0, f"{trials} trials in all")
    if totals:
        wishes.raise_budget(kept.study, **totals)
    return f"study {name}: {', '.join(told)}; {_who_goes_on(kept)}"


def enqueue(kept: Kept, text: str) -> str:
    """Queue a setting, as under `study.enqueue` in a search space file; it runs at full length.

    Raises:
        UserError: not in the study's search space.
    """
    name = kept.study.study_name
    setting, source = parse_yaml(text, "SETTING")
    setting, origin = in_present_keys(setting, source), Source(f"study {name}")
    space = parse_ranges(in_present_keys(_written(kept)["space"], origin), origin)
    reference = reference_of(space, setting, source, ())
    book, values = Book(kept.study), without_seed(reference)
    extra = {rows.EXTRA: True}
    known = any(e.asked == values or e.searched == values for e in book.everything())
    if SEED in reference and not known:
        book.add(waiting_reference(values, **extra))  # the trial that it is a run of
    book.add(waiting_reference(reference, **extra))
    told = ", ".join(f"{path}={value}" for path, value in reference.items())
    return f"study {name}: queued {told}; {_who_goes_on(kept)}"


def _best(kept: Kept, ended: list[Entry]) -> list[str]:
    """The chosen trial, by the name that `explain` gives it; before one is chosen, the highest score."""
    chosen = chosen_of(kept, ended)
    title, shown = ("chosen", [chosen]) if chosen else ("best", ended[:1])
    score = wishes.measure_of(kept.study.user_attrs).score
    return [f"{title}: {score(e.value or 0.0)} (trial {e.run})" for e in shown]


def _cost(kept: Kept, entries: list[Entry]) -> str:
    """What was spent, and of how much."""
    hours = sum(entry.device_hours for entry in entries) + other_hours(kept.study.user_attrs)
    worked, limits = worked_hours(kept.study), _limits(kept)
    of = f" of {limits.device_hours:g}" if limits.device_hours else ""
    clock = f", {duration(3600 * worked)} of the clock" if worked else ""
    if limits.wall_clock:
        clock += f" of {duration(3600 * limits.wall_clock)}"
    return f"{hours:.3f}{of} device-hours{clock}"


def _limits(kept: Kept) -> BudgetConfig:
    """What it may spend: as its file says, or as somebody allowed since."""
    written = kept.study.user_attrs.get(wishes.WRITTEN, {}).get(wishes.BUDGET, {})
    return wishes.budget_of(kept.study, validate(BudgetConfig, written))


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
