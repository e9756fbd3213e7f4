"""Writes the table of environment variables in README.md anew: python -m tests.variables."""

from pathlib import Path

from afdcd.environment import VARIABLES
from tests.running import ROOT

BEGIN = "<!-- variables: `make format` writes them from afdcd/environment.py -->\n"
END = "<!-- end of variables -->\n"


def variables_table() -> str:
    """Lines of Markdown, a variable each, in the order in which a person meets them."""
    lines = ["| variable | what it says | default |", "|---|---|---|"]
    for variable in VARIABLES:
        meaning = f"{variable.meaning} (secret)" if variable.secret else variable.meaning
        lines.append(f"| `{variable.name}` | {meaning} | {variable.default} |")
    return "\n".join(lines) + "\n"


def with_table(text: str) -> str:
    """A document with the table between its two marks as the code knows it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"the document lacks {BEGIN!r}"
    assert end, f"the document lacks {END!r}"
    return before + begin + variables_table() + end + after


def rewrite(file: Path) -> None:
    file.write_text(with_table(file.read_text()))


if __name__ == "__main__":
    rewrite(ROOT / "README.md")
