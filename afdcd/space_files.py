"""The search spaces that come with afdcd: `search_spaces/` of the repository, by name."""

import difflib
from pathlib import Path

from afdcd.config import UserError

_INSTALLED = Path(__file__).with_name("search_spaces")  # setup.py puts them there in a wheel
_FOLDER = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1] / "search_spaces"


def space_names() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def space_path(name: str) -> Path:
    """The file of a search space, `quickstart` for example.

    Raises:
        UserError: there is none of that name; lists those that there are.
    """
    names = space_names()
    if name in names:
        return _FOLDER / f"{name}.yaml"
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise UserError(f"{name}: no search space of that name; {hint}there are: {', '.join(names)}")


def write_new(target: Path, text: str) -> None:
    """Write a file of the person's.

    Raises:
        UserError: it is there already, or cannot be written.
    """
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{target}: is there already; name another file") from None
    except OSError as error:
        raise UserError(f"{target}: cannot be written ({error.strerror})") from None
