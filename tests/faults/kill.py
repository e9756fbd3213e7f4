"""`python -m tests.faults.kill --times 50`: real processes are killed around real small studies.

Each study ends, begun again as often as a supervisor would, and must leave exactly what an undisturbed
one leaves: each run with its outcome, value and curve, its page, its weights, the versions, the alias.
"""

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter

from tests.faults.disturbed import KINDS, Disturbed
from tests.faults.outcome import KINDS as FAULTS
from tests.faults.outcome import Facts, difference, facts_of, leftovers
from tests.faults.stand import Stand, stand

TOGETHER = 12  # kills in one study
LIMIT = 900.0  # seconds after which a study will not end any more


def main() -> int:
    arguments = _arguments()
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with stand() as here:
        return Campaign(here, arguments.seed).run(_order(arguments), arguments.seconds)


class Campaign:
    """Studies, one after the other, until all kills are done."""

    def __init__(self, here: Stand, seed: int) -> None:
        self._stand, self._chance = here, random.Random(seed)
        self._done: Counter[str] = Counter()
        self._faults: Counter[str] = Counter()
        self._studies = self._fell = 0

    def run(self, kills: list[str], seconds: float) -> int:
        """The exit status; after so many seconds of disturbed studies no further one is begun."""
        reference, faults = self._study("undisturbed", [])
        if faults:
            say("the undisturbed study is not as it should be")
            return 2
        began = time.monotonic()
        try:
            while kills and time.monotonic() - began < seconds:
                some, rest = kills[:TOGETHER], kills[TOGETHER:]
                self._killed(some, reference)
                kills = some + rest  # what the study was too short for is still to be done
        finally:  # after Ctrl-C too: what was done counts
            self._summary(len(kills))
        return 1 if kills or self._faults.total() else 0

    def _killed(self, kills: list[str], reference: Facts) -> None:
        """One study with as many of these kills as it lasts; they are taken from the list."""
        planned = Counter(kills)
        _, faults = self._study(f"killed-{self._studies:02d}", kills, reference)
        self._studies += 1
        self._faults.update(faults)
        self._done.update(planned - Counter(kills))

    def _study(
        self, name: str, kills: list[str], reference: Facts | None = None
    ) -> tuple[Facts, Counter[str]]:
        began = time.monotonic()
        study = Disturbed(self._stand, name, self._chance, say)
        ended = study.run(kills, LIMIT)
        faults: Counter[str] = Counter()
        lines: list[str] = []
        if not ended:
            faults["zombie"] += 1
            lines.append(f"zombie: not ended after {LIMIT:.0f} s")
        if "Traceback" in (printed := study.driver.printed()):
            faults["wrong"] += 1
            lines.append("wrong: a traceback where a line should say what to do")
        for left in leftovers(self._stand):
            faults["zombie"] += 1
            lines.append(f"zombie: {left}")
        facts = facts_of(self._stand, name)
        if reference:
            counts, told = difference(reference, facts)
            faults.update(counts)
            lines += told
        self._fell += study.fell
        say(f"{name}: {time.monotonic() - began:.0f} s, {len(facts)} facts, {faults.total()} wrong")
        if lines:
            print("\n".join(lines[:40]), "\n--- the driver said:\n", printed, sep="", flush=True)
        return facts, faults

    def _summary(self, left: int) -> None:
        print(f"\n{'killed':12}times")
        for kind in KINDS:
            print(f"{kind:12}{self._done[kind]}")
        print(f"{'all':12}{self._done.total()}  (not done: {left})")
        print(
            f"studies     {self._studies}, in which a driver gave up by itself {self._fell} times"
        )
        print("  ".join(f"{kind} {self._faults[kind]}" for kind in FAULTS), flush=True)


def _order(arguments: argparse.Namespace) -> list[str]:
    """All kinds in random order, then all again, so that a part of them has some of each."""
    kinds = arguments.kinds.split(",")
    if unknown := set(kinds) - set(KINDS):
        sys.exit(f"--kinds: unknown {', '.join(unknown)}; there are {', '.join(KINDS)}")
    chance = random.Random(arguments.seed)
    rounds = -(-arguments.times // len(kinds))
    kills = [kind for _ in range(rounds) for kind in chance.sample(kinds, len(kinds))]
    return kills[: arguments.times]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.kill", description=__doc__)
    parser.add_argument("--times", type=int, default=50, help="how often something is killed")
    parser.add_argument("--kinds", default=",".join(KINDS), help="what is killed")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument(
        "--seconds", type=float, default=1e9, help="begin no further study after so many"
    )
    return parser.parse_args()


def say(line: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
