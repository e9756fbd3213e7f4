"""What the documents say stands in the code."""

import re
import shlex
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from afdcd.__main__ import VERBS
from benchmarks.costs import costs_table
from tests.running import ROOT
from tests.variables import BEGIN, END, rewrite, variables_table, with_table

README = (ROOT / "README.md").read_text()
TREE = README.partition("## What is where")[2]


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_no_line_is_wider_than_a_page(name: str) -> None:
    wide = [line for line in (ROOT / name).read_text().splitlines() if len(line) > 120]
    assert not wide


def test_every_variable_stands_in_the_table_as_the_code_knows_it() -> None:
    assert with_table(README) == README, "write it anew: python -m tests.variables"


def test_the_table_is_written_anew_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{BEGIN}| an old row |\n{END}after\n")
    rewrite(file)
    assert file.read_text() == f"before\n{BEGIN}{variables_table()}{END}after\n"
    assert "| `PGPASSWORD` | its password, if PostgreSQL and not in the URL (secret) |" in (
        file.read_text()
    )


def test_every_folder_and_file_of_the_tree_is_there() -> None:
    at_root = re.findall(r"^    (\S+)", TREE, flags=re.M)
    inside = re.findall(r"^      (\S+)  ", TREE, flags=re.M)
    assert len(at_root) >= 6
    for name in at_root:
        assert (ROOT / name).exists(), name
    for name in inside:
        assert (ROOT / "afdcd" / name).exists(), name
    packages = {f"{path.parent.name}/" for path in (ROOT / "afdcd").glob("*/__init__.py")}
    assert {name for name in inside if name.endswith("/")} == packages


def test_every_row_of_what_dies_is_held_by_a_test_that_is_there() -> None:
    record = (ROOT / "docs" / "record.md").read_text()
    rows = re.findall(r"\| `(test_\w+)` \|$", record, flags=re.M)
    assert len(rows) >= 15
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for name in rows:
        assert f"def {name}(" in sources, name


def test_one_trial_is_followed_through_what_is_there() -> None:
    thread = README.partition("One trial, from the command to the loss:\n\n")[2]
    steps = re.findall(r"^    (\S+\.py): (\w+) ", thread.partition("\n\n")[0], flags=re.M)
    assert len(steps) == 8
    for file, name in steps:
        text = (ROOT / "afdcd" / file).read_text()
        assert re.search(rf"^(def|class) {name}\b", text, flags=re.M), name
    callers = {"read_space": "tune.py", "run_study": "commands/tune.py"}
    for (before, _), (_, name) in pairwise(steps[:7]):
        caller = ROOT / "afdcd" / callers.get(name, before)
        assert name in caller.read_text(), f"{caller} does not lead to {name}"


def test_every_command_is_one_that_its_verb_understands() -> None:
    verbs = {verb.name: verb for verb in VERBS}
    commands = re.findall(r"^    (?:python -m )?afdcd[ .](\w+) +(.*)$", README, flags=re.M)
    assert len(commands) >= 6
    for verb, rest in commands:
        words = shlex.split(rest.partition("#")[0])
        parser = verbs[verb].load().parser()
        parse = parser.parse_intermixed_args if verb in ("tune", "train") else parser.parse_args
        parse(words)


def test_what_each_search_space_costs_stands_as_the_plan_says() -> None:
    assert "\n".join(costs_table()) in README


def test_every_link_leads_to_a_file() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), target


def test_every_module_that_a_document_names_exists() -> None:
    texts = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    texts.append((ROOT / "CONTRIBUTING.md").read_text())
    named = {
        m for text in texts for m in re.findall(r"python -m ((?:afdcd|benchmarks)[.\w]*)", text)
    }
    named -= {"afdcd.VERB", "benchmarks.NAME"}
    assert named >= {"benchmarks.step", "afdcd.bench"}
    for module in named:
        assert import_module(module)
    for text in texts:
        for file in re.findall(r"`((?:afdcd|tests|benchmarks)/[\w/]+\.(?:py|sh|csv))`", text):
            assert (ROOT / file).exists() or {"mine", "NAME"} & set(Path(file).stem.split("_")), (
                file
            )
