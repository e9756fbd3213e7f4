"""What a Ray cluster on this machine needs of it, and what stands in where that is missing.

Compute nodes and containers often have a home folder that cannot be written, a user without a
name, or a temporary folder whose path is too long for Ray's sockets.
"""

import random
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from afdcd.config import UserError
from afdcd.environment import (
    LONGEST_TEMPORARY,
    set_defaults,
    short_temporary_folder,
    token_is_given,
)


def set_token() -> None:
    """A token for a cluster that nobody else is to reach: kept in memory, written nowhere.

    Ray guards a new cluster by itself, but would write its token into the home folder.
    """
    if not token_is_given():
        set_defaults({"RAY_AUTH_TOKEN": secrets.token_hex(32)})


def session_folder() -> str:
    """Where Ray may keep its sockets and logs.

    Raises:
        UserError: no folder that can be written and whose path is short enough for sockets.
    """
    folder = short_temporary_folder()
    if folder is None:
        raise UserError(
            "a local Ray cluster needs a folder for its sockets, with a path of at most "
            f"{LONGEST_TEMPORARY} characters: set RAY_TMPDIR to one that may be written to"
        )
    return str(Path(folder) / "ray")


def free_port() -> int:
    """A port for a server that opens it some seconds later, as Ray's dashboard does.

    The kernel may give a port above 32767 to another process meanwhile, Ray itself one from 10002
    to 19999, so it is none of these.

    Raises:
        UserError: a hundred ports are taken.
    """
    for port in random.sample(range(20_000, 32_768), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise UserError("no port between 20000 and 32767 is free; close some programs on this machine")
