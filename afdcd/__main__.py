"""`afdcd`: one command for all verbs. `python -m afdcd` and `python -m afdcd.VERB` are the same."""

import argparse
import difflib
import sys
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from afdcd.cli import run
from afdcd.config import UserError


@dataclass(frozen=True)
class Verb:
    """A verb is the module of its name, which has `parser(prog)` and `main(argv, prog)`."""

    name: str
    help: str
    module: str = ""

    def load(self) -> ModuleType:
        return import_module(self.module or f"afdcd.{self.name}")


VERBS = (
    Verb("prepare", "turn a data set as downloaded into what training reads, or show one"),
    Verb("init", "write a search space for your data, your networks and this machine"),
    Verb("tune", "search for the best student that a search space allows"),
    Verb("train", "one training run, without a search"),
    Verb("evaluate", "score a student on a data set, or export its predictions"),
    Verb("predict", "label pictures with a student"),
    Verb("convert", "make weights that others published ready for use"),
    Verb("study", "save a whole study as one file, or restore it"),
    Verb("report", "the rivals of a study side by side"),
    Verb("track", "build the MLflow pages of a study anew"),
    Verb("bench", "measure afdcd on this machine", "afdcd.bench.__main__"),
    Verb("spaces", "list the search spaces that come with afdcd, or copy one"),
    Verb("ui", "open the MLflow page with the studies of this storage"),
    Verb("doctor", "check this machine, and say what to mend"),
)
SHELLS = ("bash", "zsh", "tcsh")
EXAMPLE = """examples:
  afdcd spaces                              what can be searched without writing a file
  afdcd tune quickstart.yaml                a first study, after: afdcd spaces copy quickstart
  afdcd predict models:/quickstart@champion PICTURES --out predictions
  afdcd tune --help                         all words of a verb

completion in this shell: source <(afdcd --completion bash)
"""


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    verbs = {verb.name: verb for verb in VERBS}
    if words and words[0] in verbs:
        return int(verbs[words[0]].load().main(words[1:], f"afdcd {words[0]}"))
    if words and not words[0].startswith("-"):
        near = difflib.get_close_matches(words[0], verbs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(verbs)}"
        raise UserError(f"afdcd has no verb {words[0]!r}; {hint}")
    arguments = _parser().parse_args(words)
    if arguments.version:
        from afdcd.commands.versions import versions

        print(versions())
    elif arguments.completion:
        print(completion(arguments.completion))
    else:
        _parser().print_help()
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(len(verb.name) for verb in VERBS)
    listed = "\n".join(f"  {verb.name:{width}}  {verb.help}" for verb in VERBS)
    parser = argparse.ArgumentParser(
        prog="afdcd",
        usage="afdcd VERB [...]",
        description=f"Search for the student network that is really better.\n\nverbs:\n{listed}",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="what belongs in a bug report")
    parser.add_argument("--completion", choices=SHELLS, help="print the completion of a shell")
    return parser


def completion(shell: str) -> str:
    """The script that completes verbs, options and files in `shell`."""
    import shtab

    whole = argparse.ArgumentParser(prog="afdcd")
    verbs = whole.add_subparsers(dest="verb")
    for verb in VERBS:
        words = verb.load().parser(f"afdcd {verb.name}")
        _complete_files(words, shtab.FILE)
        verbs.add_parser(verb.name, parents=[words], add_help=False, help=verb.help)
    return str(shtab.complete(whole, shell))


def _complete_files(parser: argparse.ArgumentParser, files: Any) -> None:
    """Whatever takes a word that is not one of a few is offered files."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                _complete_files(inner, files)
        elif action.nargs != 0 and not action.choices:
            action.complete = files  # type: ignore[attr-defined]


def entry() -> int:
    """What the console command `afdcd` calls; the exit status."""
    return run(main)


if __name__ == "__main__":
    sys.exit(entry())
