"""`python -m afdcd.tune`: search for the best student that a search space file allows."""

import argparse
import os
import shutil
import sys
from pathlib import Path

from afdcd import storage
from afdcd.cli import INTERRUPTED, run
from afdcd.search.load import SearchSpace, load_space
from afdcd.search.preflight import notes
from afdcd.search.progress import percent, trials_table
from afdcd.search.run_study import PICTURES, Report, run_study
from afdcd.search.winners import no_report
from afdcd.text import table
from afdcd.tracking.server import shown, storage_root, tracking_uri

EXAMPLE = """examples:
  python -m afdcd.tune search_spaces/quickstart.yaml
  python -m afdcd.tune search_spaces/camvid-cpu.yaml data.root=/data/camvid study.trials=8
  ray job submit --working-dir . -- python -m afdcd.tune search_spaces/camvid.yaml data.root=s3://bucket/camvid

The same command goes on where a stopped or killed one was. Environment: AFDCD_STORAGE (where
everything is kept, default ~/afdcd-runs), MLFLOW_TRACKING_URI, AFDCD_STUDY_DB.
"""


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_intermixed_args(argv)
    space = load_space(arguments.space, arguments.overrides)
    for note in notes(space):
        print(f"note: {note}")
    if arguments.check:
        print(f"{arguments.space}: valid, {len(space.examples)} corner configurations checked")
        return 0
    print(
        f"study {space.name!r}: {space.study.trials} trials, kept in {storage_root()}", flush=True
    )
    report = run_study(space)
    if not report.finished:
        print(f"study {space.name!r} interrupted; the same command goes on from here")
        return INTERRUPTED
    _summarise(space, report)
    return 0 if report.winners else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m afdcd.tune",
        description="Search for the best student that a search space file allows.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("space", metavar="SPACE.yaml", help="search space file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="replace a value of it")
    parser.add_argument("--check", action="store_true", help="only check the file")
    return parser


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
    print(f"\n{_next_commands(space)}")


def _next_commands(space: SearchSpace) -> str:
    """What to do now, ready to be pasted into the same shell."""
    uri = tracking_uri()
    if uri.startswith("http"):
        look = f"  open {shown(uri)}"
    else:  # a database's password stays in the variable
        uri = uri if shown(uri) == uri else '"$MLFLOW_TRACKING_URI"'
        look = f"  mlflow ui --backend-store-uri {uri}"
    given = "AFDCD_STORAGE" in os.environ
    prefix = f"AFDCD_STORAGE={storage_root()} " if given else ""
    pictures = storage.join(storage_root(), "studies", space.name, PICTURES)
    activate = Path(sys.executable).with_name("activate")
    inactive = activate.exists() and shutil.which("python") != str(activate.with_name("python"))
    return "\n".join(
        [
            *([f"source {activate}"] if inactive else []),
            "look at the study and choose a student:",
            look,
            "use the champion:",
            f"  {prefix}python -m afdcd.predict models:/{space.name}@champion {pictures} "
            "--out predictions",
            "search on real data (README, CamVid):",
            f"  {prefix}python -m afdcd.tune search_spaces/camvid-cpu.yaml data.root=CAMVID",
        ]
    )


if __name__ == "__main__":
    sys.exit(run(main))
