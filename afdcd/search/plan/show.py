"""The plan as tables that a person reads before anything is paid."""

from dataclasses import fields

from afdcd.search.plan.devices import GIB
from afdcd.search.plan.interval import total
from afdcd.search.plan.memory import Memory
from afdcd.search.plan.plan import Corner, Plan
from afdcd.text import byte_count, table

PARTS = [part.name for part in fields(Memory) if part.name != "loader"]
MIB = 2**20
SHORT = {"parameters": "weights", "context": "CUDA"}


def shown_plan(plan: Plan) -> str:
    return "\n\n".join([_runs(plan), _memory(plan), _hours(plan), _costs(plan)])


def _runs(plan: Plan) -> str:
    proof, seeds = plan.proof_runs, plan.study.proof.seeds
    trained = ", ".join(
        corner.pair if corner.method == "teacher" else f"{corner.method} of {corner.pair}"
        for corner in plan.teachers
    )
    rows = [
        ("teachers", str(len(plan.teachers)), f"to train: {trained}" if trained else "to train"),
        *(("", "1", f"to load: {teacher}") for teacher in plan.loaded),
        ("references", str(len(plan.references)), "full runs, first"),
        ("search", str(plan.runs - len(plan.references)), "full runs' worth"),
        *_shares(plan),
        ("proof", str(proof), f"full runs: {plan.arms} settings x {seeds} seeds"),
        ("in all", str(plan.runs + proof), "full runs"),
    ]
    title = f"study {plan.name} on {plan.machine}, {plan.at_once} runs at once"
    return f"{title}\n{table(('', 'runs', ''), rows, rules=())}"


def _shares(plan: Plan) -> list[tuple[str, str, str]]:
    """What each rival gets of references and search, and what is left over."""
    found = [
        ("", str(runs), f"of these and the references: {v}") for v, runs in plan.shares.items()
    ]
    over = plan.study.runs - plan.runs
    return [
        *found,
        *([("", str(over), "left over, for they do not divide")] if found and over else []),
    ]


def _memory(plan: Plan) -> str:
    titles = ("pair", "method", *(SHORT.get(p, p) for p in PARTS), "in all", "loader*")
    corners = (*plan.teachers, *plan.corners)
    unit, name = (GIB, "GiB") if max(c.need.likely for c in corners) > GIB else (MIB, "MiB")
    rows = [_memory_row(corner, unit) for corner in corners]
    kind = "GPU" if plan.machine.device.is_gpu else "worker"
    title = f"memory of one {kind} in {name}, at the settings that need most"
    note = "* batches on their way, of the host's memory"
    return f"{title}\n{table(titles, rows, numbers=len(titles) - 2, rules=())}\n{note}"


def _memory_row(corner: Corner, unit: int) -> tuple[str, ...]:
    sizes = [f"{getattr(corner.memory, part) / unit:.1f}" for part in PARTS]
    told = str(corner.need * (1 / unit))
    if corner.peak is not None:
        told = f"{corner.peak / unit:.3g} measured"
    return (corner.pair, corner.method, *sizes, told, f"{corner.memory.loader / unit:.1f}")


def _hours(plan: Plan) -> str:
    titles = ("pair", "method", "s an iteration", "validating, h", "a run, h", "from")
    rows = [_hours_row(corner) for corner in (*plan.teachers, *plan.corners)]
    return f"hours of one run\n{table(titles, rows, rules=())}"


def _hours_row(corner: Corner) -> tuple[str, ...]:
    time = corner.time
    validating = f"{time.validating.likely / 3600:.2g}"
    return (
        corner.pair,
        corner.method,
        str(time.iteration),
        validating,
        str(corner.hours),
        corner.origin,
    )


def _costs(plan: Plan) -> str:
    unit = "GPU-hours" if plan.machine.device.is_gpu else "CPU-hours"
    hours = plan.device_hours
    rows = [(f"{unit}, {what}", str(amount)) for what, amount in hours.items() if amount.high]
    rows += [(f"{unit}, in all", str(total(hours.values())))]
    clock = str(total(plan.clock_hours.values())) if plan.at_once else "no place for a run"
    rows += [("hours of the clock", clock), *_limits(plan), *_disk(plan)]
    if any(corner.origin == "reckoned" for corner in plan.corners):
        note = (
            "\nHours are reckoned from arithmetic and data sheets, hence the wide intervals; "
            "--measure times a few steps on this machine."
        )
    else:
        note = ""
    return table(("cost", "likely (least to most)"), rows, rules=()) + note


def _limits(plan: Plan) -> list[tuple[str, str]]:
    budget = plan.study.budget
    found = [("study.budget.device_hours", budget.device_hours)]
    found += [("study.budget.wall_clock", budget.wall_clock)]
    return [(name, f"{limit:g} h") for name, limit in found if limit is not None]


def _disk(plan: Plan) -> list[tuple[str, str]]:
    disk = plan.disk
    parts = (
        f"checkpoints {byte_count(disk.checkpoints)}, weights {byte_count(disk.weights)}, "
        f"journals {byte_count(disk.journals)}"
    )
    data = "not prepared here" if disk.data is None else byte_count(disk.data)
    return [("disk", f"{byte_count(disk.whole)}: {parts}"), ("disk, prepared data", data)]
