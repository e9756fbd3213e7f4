"""`scale`: what so many GPUs ask of the driver, the database, MLflow, the store and the network.

    python -m benchmarks.scale --gpus 1000 --trials 5000     # docs/scale.md has what it printed
    python -m benchmarks.scale_costs --trials 5000           # measures the costs that it starts from

Rates are those of the code (how often a run reports, saves, gives a pulse), costs of one event were
measured, and what comes of both is reckoned in virtual time: nothing is started.
"""

import argparse
import heapq
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from afdcd.cli import run
from afdcd.search import watchdog
from afdcd.text import byte_count
from afdcd.training import pulse

# What services of a usual size give; a site's own differ.
DATABASE = 2000.0  # statements of SQL a second, of one PostgreSQL
PUTS = 3500.0  # objects written a second, of one prefix of S3
BANDWIDTH = 1e10  # bytes a second, of a store and the network before it
MEASURED = ("report", "proposal", "page", "look")


@dataclass(frozen=True)
class Study:
    """A run as Cityscapes' is on one H200: 40,000 iterations of 127 ms, a validation every 2,000."""

    hours: float = 1.6
    validations: int = 20
    images_per_second: float = 126.0
    image: float = 2.3e6  # bytes of a 1024x2048 PNG with its label
    checkpoint: float = 2.5e8  # bytes: student, distiller, their momenta
    start: float = 30.0  # seconds from a proposal to the first iteration


@dataclass(frozen=True)
class Costs:
    """Seconds of one event, each of the thread that handles it; statements of SQL.

    Proposal: docs/performance.md, 5,000 trials on SQLite, its sampler included. The others: the slower
    of two runs of scale_costs against PostgreSQL, an MLflow server and an S3 server on two cores.
    """

    report: float = 0.045
    proposal: float = 0.39
    page: float = 0.15
    look: float = 0.023
    statements_of_report: float = 12.0
    statements_of_proposal: float = 120.0


@dataclass(frozen=True)
class Shares:
    """What a simulated day shows."""

    filled: float  # seconds until every GPU had its first run
    idle: float  # share of GPU time between two runs, the start of a process left out
    busy: float  # share of its time that the driver is at work
    slowest: float  # seconds that one report in a hundred waits for its decision, or longer


def simulate(gpus: int, study: Study, costs: Costs, hours: float = 12.0, seed: int = 0) -> Shares:
    """One driver that does one thing after the other, and GPUs that ask it for their next run."""
    drawn, end = random.Random(seed), 3600 * hours
    events = [(0.0, gpu, 0) for gpu in range(gpus)]  # time, GPU, validations so far; 0: wants a run
    free = work = idle = filled = 0.0
    waits: list[float] = []
    while events:
        at, gpu, reached = heapq.heappop(events)
        if at > end:
            break
        cost = costs.report if reached else costs.proposal
        begun, free = max(at, free), max(at, free) + cost
        work += cost
        if reached:
            waits.append(free - at)
        else:
            idle += free - at
            filled = max(filled, free) if at == 0 else filled
        pause = drawn.gauss(1, 0.02) * 3600 * study.hours / study.validations
        if reached == study.validations:
            heapq.heappush(events, (at, gpu, 0))  # the device is free when training ends
        else:
            start = begun + cost + study.start if not reached else at
            heapq.heappush(events, (start + pause, gpu, reached + 1))
    waits.sort()
    slowest = waits[int(0.99 * (len(waits) - 1))] if waits else 0.0
    return Shares(filled, idle / (gpus * end), min(1.0, work / end), slowest)


def rates(gpus: int, study: Study, costs: Costs) -> Iterator[tuple[str, str, float]]:
    """Of each resource: what it is asked per minute, and for how many GPUs it lasts."""
    runs = gpus / (60 * study.hours)
    reports = runs * study.validations
    driver = (runs * costs.proposal + reports * costs.report) / 60
    statements = runs * costs.statements_of_proposal + reports * costs.statements_of_report
    pages = reports + 2 * runs
    looks = gpus * 60 / watchdog.LOOK
    asked = f"{reports:.0f} reports, {runs:.1f} proposals: {driver:.0%} of a thread"
    yield "driver", asked, gpus / driver
    yield "database", f"{statements:,.0f} statements", gpus * 60 * DATABASE / statements
    page = pages * costs.page / 60
    yield "MLflow", f"{pages:.0f} pages written: {page:.0%} of the writing thread", gpus / page
    look = looks * costs.look / 60 / watchdog.AT_ONCE
    yield "watchdog", f"{looks:,.0f} pulses read: {look:.0%} of its threads", gpus / look
    pulses = gpus * 60 / pulse.EVERY
    asked = f"{pulses:,.0f} written, {looks:,.0f} read"
    yield "store, small objects", asked, gpus * 60 * PUTS / pulses
    saved = reports * study.checkpoint / 60
    yield "store, checkpoints", f"{byte_count(saved)}/s", gpus * BANDWIDTH / saved
    read = gpus * study.images_per_second * study.image
    asked = f"{byte_count(read)}/s, where no node keeps a copy"
    yield "store, images", asked, gpus * BANDWIDTH / read


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--gpus", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=5000)
    for name in MEASURED:
        parser.add_argument(f"--{name}", type=float, help="seconds of one, as scale_costs measures")
    args = parser.parse_args(argv)
    given = {name: getattr(args, name) for name in MEASURED if getattr(args, name)}
    print("\n".join(told(args.gpus, args.trials, Study(), Costs(**given))))
    return 0


def told(gpus: int, trials: int, study: Study, costs: Costs) -> list[str]:
    """Lines of Markdown."""
    rows = sorted(rates(gpus, study, costs), key=lambda row: row[2])
    asked = [f"| {name} | {what} | {_round(lasts):,} |" for name, what, lasts in rows]
    days = [
        (count, simulate(count, study, costs)) for count in (gpus // 10, gpus, 2 * gpus, 4 * gpus)
    ]
    waits = [
        f"| {count:,} | {s.filled / 60:.1f} min | {s.busy:.0%} | {s.idle:.1%} | {s.slowest:.1f} s |"
        for count, s in days
    ]
    return [
        *(f"{gpus:,} GPUs, {trials:,} trials of {study.hours:g} h on one each", ""),
        *(
            "| resource | what it is asked per minute | lasts for GPUs |",
            "|---|---|---|",
            *asked,
            "",
        ),
        *(f"The first limit is {rows[0][0]}, at {_round(rows[0][2]):,} GPUs.", ""),
        "| GPUs | all have a run after | driver at work | GPUs idle for it | 1 % of reports wait |",
        *("|---|---|---|---|---|", *waits, ""),
        f"All trials take {trials * study.hours / gpus:.1f} h.",
    ]


def _round(number: float) -> int:
    """To two digits: more is not known."""
    digits = max(0, len(str(int(number))) - 2)
    return int(round(number, -digits))


if __name__ == "__main__":
    sys.exit(run(main))
