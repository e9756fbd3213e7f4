"""Paths as a person writes them."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def expanded(path: str) -> str:
    """`path` with a home folder in the place of a leading `~` or `~user`; a URI stays as it is.

    A shell does this at the start of a word alone: not in `data.root=~/x`, `--data=~/x`, nor in what
    a file or an environment variable says.
    """
    return os.path.expanduser(path)  # noqa: PTH111  Path would fold the slashes of a URI


def expanded_path(path: str) -> Path:
    return Path(expanded(path))


# A field of a config that holds a path or a URI.
Location = Annotated[str, AfterValidator(expanded)]
