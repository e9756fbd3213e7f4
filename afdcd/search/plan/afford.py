"""Whether a budget can pay for what a study must run: teachers, references, the proof."""

from collections.abc import Iterator

from afdcd.search.load import SearchSpace
from afdcd.search.plan.interval import Interval, total
from afdcd.search.plan.plan import Plan

MUST = ("teachers", "references", "proof")


def shortfalls(space: SearchSpace, plan: Plan, *, likely: bool = False) -> list[str]:
    """Lines about limits that are below the least of what must be run, or below what is likely."""
    budget, found = plan.study.budget, []
    for key, limit, parts in (
        ("device_hours", budget.device_hours, plan.device_hours),
        ("wall_clock", budget.wall_clock, plan.clock_hours),
    ):
        needed = total(parts[name] for name in MUST)
        least = needed.likely if likely else needed.low
        if limit is not None and least > limit:
            told = ", ".join(_told(parts))
            found.append(
                f"{space.source.at(('study', 'budget', key))}: {limit:g} h "
                f"{'hardly pay' if likely else 'cannot pay'} for {told}; raise it to {needed.likely:.3g} or "
                "more, lower study.proof.seeds, or take settings out of study.enqueue"
            )
    return found


def _told(parts: dict[str, Interval]) -> Iterator[str]:
    for name in MUST:
        if parts[name].high:
            yield f"{name} {parts[name]}"
