"""Run a study, and say what came of it."""

import shutil
import sys
from pathlib import Path

from afdcd import storage
from afdcd.cli import INTERRUPTED
from afdcd.data.catalog.datasets import no_report
from afdcd.environment import shown, storage_is_given, storage_root, tracking_uri
from afdcd.search.load import SearchSpace
from afdcd.search.progress import percent, trials_table
from afdcd.search.run_study import PICTURES, Report, run_study
from afdcd.text import table

ONE_SEED = (
    "Each trial ran once. Luck alone, which is another random seed, moves a score by some points: "
    "this table does not show that one method is better than another."
)


def execute(space: SearchSpace) -> int:
    """Run the study of a checked space; the exit status."""
    report = run_study(space)
    if not report.finished:
        print(f"study {space.name!r} interrupted; the same command goes on from here")
        return INTERRUPTED
    _summarise(space, report)
    return 0 if report.winners else 1


def _summarise(space: SearchSpace, report: Report) -> None:
    print(f"\n{trials_table(report.trials)}\n")
    for teacher in report.teachers:
        print(f"teacher {teacher.card.model.name}: mIoU {percent(teacher.miou)}")
    if not report.winners:
        print("no trial reached its full length, so nothing was registered; see the causes above")
        return
    titles = ("registered", "trial", "method", "val mIoU", "test mIoU")
    rows = []
    for place, (winner, score) in enumerate(zip(report.winners, report.scores, strict=True)):
        name = f"models:/{space.name}@champion" if place == 0 else ""
        number, value = str(winner.trial.number), percent(winner.trial.value)
        method = winner.config.distiller.method
        rows.append((name, number, method, value, percent(score.miou if score else None)))
    print(table(titles, rows, rules=()))
    if None in report.scores:
        print(f"no test mIoU: {no_report(space.examples[0].data.protocol)}")
    print(f"\n{ONE_SEED}\n\n{_next_commands(space)}")


def _next_commands(space: SearchSpace) -> str:
    """What to do now, ready to be pasted into the same shell."""
    prefix = f"AFDCD_STORAGE={storage_root()} " if storage_is_given() else ""
    uri = tracking_uri()
    look = f"open {shown(uri)}" if uri.startswith("http") else f"{prefix}python -m afdcd ui"
    pictures = storage.join(storage_root(), "studies", space.name, PICTURES)
    activate = Path(sys.executable).with_name("activate")
    inactive = activate.exists() and shutil.which("python") != str(activate.with_name("python"))
    return "\n".join(
        [
            *([f"source {activate}"] if inactive else []),
            "look at the study and choose a student:",
            f"  {look}",
            "use the champion:",
            f"  {prefix}python -m afdcd.predict models:/{space.name}@champion {pictures} "
            "--out predictions",
            "search on real data (README, CamVid):",
            f"  {prefix}python -m afdcd.tune search_spaces/camvid-cpu.yaml data.root=CAMVID",
        ]
    )
