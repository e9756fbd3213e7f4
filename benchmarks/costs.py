"""`costs`: what each search space that comes with afdcd will cost, as the README's table.

    python -m benchmarks.costs

Nothing is measured or started: these are the figures of `afdcd tune --check SPACE --cluster MACHINE`.
"""

import sys

from afdcd.cli import run
from afdcd.search.load import load_space
from afdcd.search.plan.devices import GIB, Machine, machine_of
from afdcd.search.plan.interval import Interval, total
from afdcd.search.plan.make import make_plan
from afdcd.search.plan.plan import Plan
from afdcd.space_files import space_names, space_path
from afdcd.text import byte_count

SMALL, LARGE = "2xCPU", "8xH200"
MACHINES = dict.fromkeys(
    ("quickstart", "camvid-cpu", "arena-quickstart"), SMALL
)  # the others: LARGE
OWN = "custom"  # what it costs, `afdcd init` says once the data are there
TITLES = ("space", "on", "teacher + runs + proof", "memory", "device-hours", "hours", "disk")


def main(argv: list[str] | None = None) -> int:
    print("\n".join(costs_table()))
    return 0


def costs_table() -> list[str]:
    """Lines of Markdown."""
    rows = [TITLES, *(_row(name) for name in space_names() if name != OWN)]
    head, *lines = (f"| {' | '.join(row)} |" for row in rows)
    return [head, "|---" * len(TITLES) + "|", *lines]


def _row(name: str) -> tuple[str, ...]:
    machine = machine_of(MACHINES.get(name, LARGE))
    plan = make_plan(load_space(str(space_path(name)), []), machine)
    return (
        f"`{name}`",
        f"{machine.count} x {machine.device.name}",
        f"{len(plan.teachers)} + {plan.runs} + {plan.proof_runs}",
        _memory(plan, machine),
        str(total(plan.device_hours.values())),
        str(total(plan.clock_hours.values())),
        byte_count(plan.disk.whole),
    )


def _memory(plan: Plan, machine: Machine) -> str:
    """Of the runs that need most, the teacher's training among them."""
    need: Interval = max(
        (corner.need for corner in (*plan.teachers, *plan.corners)), key=lambda n: n.likely
    )
    return f"{need * (1 / GIB)} GiB" if machine.device.is_gpu else byte_count(need.likely)


if __name__ == "__main__":
    sys.exit(run(main))
