"""`afdcd study status|explain|stop|extend|enqueue|clean|export|import`: one study, from any terminal."""

import argparse
import sys
from pathlib import Path

from afdcd.cli import new_parser, run
from afdcd.paths import expanded

EXAMPLE = """examples:
  afdcd study status cityscapes
  afdcd study explain cityscapes
  afdcd study explain cityscapes --space search_spaces/cityscapes.yaml --out believed.png
  afdcd study stop cityscapes
  afdcd study extend cityscapes 20
  afdcd study extend cityscapes --device-hours 50 --wall-clock 12h
  afdcd study enqueue cityscapes '{distiller: {method: none}, training: {seed: 1}}'
  afdcd study clean cityscapes --dry-run
  afdcd study export cityscapes cityscapes.tar
  AFDCD_STORAGE=/elsewhere afdcd study import cityscapes.tar
  AFDCD_STORAGE=/elsewhere afdcd track cityscapes

A study is asked through its database, so AFDCD_STUDY_DB or AFDCD_STORAGE must be as its driver's are.
The file of export holds its database rows and its folder: weights, checkpoints, journals, pictures, and
the teachers it is pinned to. `afdcd tune` goes on with a study that was begun elsewhere.
"""
PROG = "python -m afdcd.study"


def main(argv: list[str] | None = None, prog: str = PROG) -> int:
    arguments = parser(prog).parse_args(argv)
    from afdcd.commands import study

    match arguments.action:
        case "status":
            return study.execute_status(arguments.name)
        case "explain":
            return study.execute_explain(arguments.name, arguments.space, arguments.out)
        case "stop":
            return study.execute_stop(arguments.name)
        case "extend":
            more = {"device_hours": arguments.device_hours, "wall_clock": arguments.wall_clock}
            given = {limit: value for limit, value in more.items() if value is not None}
            return study.execute_extend(arguments.name, arguments.count, given)
        case "enqueue":
            return study.execute_enqueue(arguments.name, arguments.setting)
        case "clean":
            return study.execute_clean(arguments.name, arguments.dry_run)
        case "export":
            return study.execute_export(arguments.name, Path(arguments.file))
        case _:
            return study.execute_import(Path(arguments.file))


def parser(prog: str = PROG) -> argparse.ArgumentParser:
    parser = new_parser(
        prog, "Look at a study, steer it, save it as one file, or restore it.", EXAMPLE
    )
    verbs = "status|explain|stop|extend|enqueue|clean|export|import"
    actions = parser.add_subparsers(dest="action", required=True, metavar=verbs)

    def of_study(action: str, help: str) -> argparse.ArgumentParser:
        made = actions.add_parser(action, help=help)
        made.add_argument("name", metavar="NAME", help="of the study")
        return made

    of_study("status", "who drives it, how far it is, what runs now")
    why = of_study("explain", "why the best student is the best one")
    why.add_argument(
        "--space", metavar="SPACE.yaml", type=expanded, help="the study's search space, for --out"
    )
    why.add_argument(
        "--out", metavar="FILE.png", type=expanded, help="draw what is believed of every parameter"
    )
    of_study("stop", "end its runs in order; the same `afdcd tune` goes on")
    extend = of_study("extend", "let it run more trials, or spend more")
    extend.add_argument("count", type=int, nargs="?", metavar="N", help="how many more")
    more = "what to add to study.budget."
    extend.add_argument("--device-hours", type=float, metavar="H", help=f"{more}device_hours")
    extend.add_argument(
        "--wall-clock", type=_hours, metavar="36h", help=f"{more}wall_clock, or 90m, 2d"
    )
    enqueue = of_study("enqueue", "run a setting at full length, as under study.enqueue")
    enqueue.add_argument("setting", metavar="SETTING", help="e.g. '{distiller: {method: none}}'")
    clean = of_study("clean", "remove checkpoints that nobody needs, and say what stays")
    clean.add_argument("--dry-run", action="store_true", help="only say what would go")
    export = of_study("export", "write a study of this storage to a file")
    export.add_argument("file", metavar="FILE.tar", type=expanded)
    restore = actions.add_parser("import", help="put an exported study into this storage")
    restore.add_argument("file", metavar="FILE.tar", type=expanded)
    return parser


def _hours(text: str) -> float:
    from afdcd.search.config import hours_of

    try:
        return float(hours_of(text if text[-1:].isalpha() else f"{text}h"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(run(main))
