"""Paths as a person writes them."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from afdcd.config import UserError
from afdcd.text import shown


def expanded(path: str) -> str:
    """`path` with a home folder in the place of a leading `~` or `~user`; a URI stays as it is.

    A shell does this at the start of a word alone: not in `data.root=~/x`, `--data=~/x`, nor in what
    a file or an environment variable says.
    """
    return os.path.expanduser(path)  # noqa: PTH111  Path would fold the slashes of a URI


def expanded_path(path: str) -> Path:
    """The file or folder of this machine that a person means.

    Raises:
        UserError: it is a URI, which would become a folder called `s3:` here.
    """
    if "://" in path:
        raise UserError(f"{shown(path)}: a file or folder of this machine is needed here, no URI")
    return Path(expanded(path))


NO_KEYS = (
    "holds a user name or password, which would be kept and shown with every run; leave it out, and "
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)


def _location(path: str) -> str:
    if shown(path) != path:
        raise ValueError(NO_KEYS)
    return expanded(path)


# A field of a config that holds a path or a URI.
Location = Annotated[str, AfterValidator(_location)]
