"""Run a study, and say what came of it."""

import shutil
import sys
from pathlib import Path

from afdcd import storage
from afdcd.cli import INTERRUPTED
from afdcd.data.catalog.splits import no_report
from afdcd.environment import storage_is_given, storage_root, tracking_uri
from afdcd.search.claims import claim, spreads, to_settle
from afdcd.search.conclude import PICTURES, Conclusion
from afdcd.search.load import SearchSpace
from afdcd.search.proof import Proof
from afdcd.search.run_study import run_study
from afdcd.search.trials_table import trials_table
from afdcd.search.winners import Registered
from afdcd.text import percent, shown, table
from afdcd.tracking.links import closing_lines

UNPROVEN = (
    "One seed, unproven: luck alone, which is another random seed, moves a score by some points, so this "
    "table does not show that one method is better than another. study.proof.seeds=5 proves the best."
)


def execute(space: SearchSpace) -> int:
    """Run the study of a checked space; the exit status."""
    conclusion = run_study(space)
    if not conclusion.finished:
        print(f"study {space.name!r} interrupted; the same command goes on from here")
        return INTERRUPTED
    _summarise(space, conclusion)
    return 0 if conclusion.winners else 1


def _summarise(space: SearchSpace, conclusion: Conclusion) -> None:
    print(f"\n{trials_table(conclusion.rows)}\n")
    for teacher in conclusion.teachers:
        print(f"teacher {teacher.card.model.name}: {teacher.score}")
    for note in conclusion.notes:
        print(f"note: {note}")
    if not conclusion.winners or conclusion.registered is None:
        print("no trial reached its full length, so nothing was registered; see the causes above")
        return
    model, label = conclusion.registered.name, space.measure.label
    rows = []
    for place, winner in enumerate(conclusion.winners):
        score = conclusion.registered.tests[place].get(winner.seed)
        name = f"models:/{model}@{conclusion.registered.alias}" if place == 0 else ""
        method = winner.config.distiller.method
        values = (percent(winner.score.value), percent(score.value if score else None))
        rows.append((name, str(winner.number), str(winner.seed), method, *values))
    titles = ("registered", "trial", "seed", "method", f"val {label}", f"test {label}")
    print(table(titles, rows, rules=()))
    if not all(conclusion.registered.tests):
        print(f"no test {label}: {no_report(space.examples[0].data.protocol)}")
    proven = _proof_lines(conclusion.proof, label) if conclusion.proof else UNPROVEN
    print(f"\n{proven}\n\n{_next_commands(space, conclusion, conclusion.registered)}")


def _proof_lines(proof: Proof, label: str) -> str:
    """What the proof says: the arms, the claim, and what would settle it."""
    seeds = ", ".join(map(str, proof.plan.seeds))
    titles = ("proof", f"val {label}, sd of a seed", "gain of the best, 95 % interval")
    verdict = claim(proof)
    lines = [
        table(titles, spreads(proof), rules=()),
        f"seeds {seeds}, which nothing was selected by",
    ]
    return "\n".join(filter(None, [*lines, f"the best setting is {verdict}", to_settle(proof)]))


def _next_commands(space: SearchSpace, conclusion: Conclusion, registered: Registered) -> str:
    """What to do now, ready to be pasted into the same shell."""
    model, alias = registered.name, registered.alias
    prefix = f"AFDCD_STORAGE={storage_root()} " if storage_is_given() else ""
    look = [f"{prefix}python -m afdcd ui"]
    if tracking_uri().startswith("http"):
        look = closing_lines(shown(tracking_uri()), *conclusion.pages, model, space.measure.name)
    pictures = storage.join(storage_root(), "studies", space.name, PICTURES)
    activate = Path(sys.executable).with_name("activate")
    inactive = activate.exists() and shutil.which("python") != str(activate.with_name("python"))
    use = [
        f"use the {alias}:",
        f"  {prefix}python -m afdcd.predict models:/{model}@{alias} {pictures} --out predictions",
    ]
    compare = ["compare the rivals:", f"  {prefix}python -m afdcd report arena {space.name}"]
    return "\n".join(
        [
            *([f"source {activate}"] if inactive else []),
            "look at the study and choose a student:",
            *(f"  {line}" for line in look),
            *(use if space.task.draws else []),
            *(compare if space.study.budget_per else []),
            "search on real data (README, CamVid):",
            f"  {prefix}python -m afdcd.tune search_spaces/camvid-cpu.yaml data.root=CAMVID",
        ]
    )
