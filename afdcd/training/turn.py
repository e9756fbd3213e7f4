"""Whose turn it is in a run's folder: that of the driver that took the run up last.

A driver that was frozen, or cut off from the study database, may be taken over while its workers go on.
They read a number in their folder before they write, and give up where it has risen.
"""

import json

from afdcd import storage
from afdcd.config import UserError

FILE = "turn.json"


def take(folder: str, token: int) -> None:
    """Be the one who writes into the folder.

    Args:
        token: of the driver's lease; 0 for a run without one.

    Raises:
        UserError: a later driver has taken the run up.
    """
    check(folder, token)
    if _newest(folder) < token:
        storage.write_bytes(storage.join(folder, FILE), json.dumps({"token": token}).encode())


def check(folder: str, token: int) -> None:
    """Before anything is written.

    Raises:
        UserError: a later driver has taken the run up.
    """
    newest = _newest(folder)
    if newest > token:
        raise UserError(f"{folder}: another driver (lease {newest}) has taken this run up")


def _newest(folder: str) -> int:
    place = storage.join(folder, FILE)
    if not storage.exists(place):
        return 0
    try:
        return int(json.loads(storage.read_bytes(place))["token"])
    except (ValueError, KeyError, TypeError):
        return 0  # cut short: whoever takes the run up next writes it anew
