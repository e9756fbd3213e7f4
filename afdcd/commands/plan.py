"""What a study will cost, told before anything is paid."""

import sys

from afdcd.cli import USER_ERROR
from afdcd.config import UserError
from afdcd.search.load import SearchSpace
from afdcd.search.plan.afford import shortfalls
from afdcd.search.plan.devices import fitting, machine_of, this_machine
from afdcd.search.plan.known import ledgers
from afdcd.search.plan.make import make_plan
from afdcd.search.plan.risks import risks
from afdcd.search.plan.show import shown_plan


def tell(space: SearchSpace, cluster: str | None, *, measure: bool) -> int:
    """Print the plan of a checked space; the exit status.

    Args:
        cluster: where it would run, e.g. `8xH100`; None: here.
        measure: time a few steps of each pair and method on this machine first.
    """
    if measure and cluster:
        raise UserError("--measure times this machine; leave out --cluster, or run it there")
    machine = fitting(
        machine_of(cluster) if cluster else this_machine(), space.examples[0].resources
    )
    plan, known = make_plan(space, machine), ledgers()
    if measure:
        from afdcd.search.plan.measure import measure as measured

        plan = make_plan(space, machine, known, measured(space, plan))
    elif known:
        plan = make_plan(space, machine, known)
    print(shown_plan(plan))
    mistakes, warnings = risks(space, plan)
    if certain := shortfalls(space, plan.training_only(())):  # they may be registered already
        mistakes += certain
    else:
        warnings += shortfalls(space, plan, likely=True)
    for line in warnings:
        print(f"warning: {line}")
    for line in mistakes:
        print(f"error: {line}", file=sys.stderr)
    return USER_ERROR if mistakes else 0
