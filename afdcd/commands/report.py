"""What a study says, as tables, a picture, or JSON."""

import json

from afdcd import storage
from afdcd.config import UserError
from afdcd.extras import need
from afdcd.search.arena import arena_of
from afdcd.search.arena_picture import picture
from afdcd.search.arena_text import plain, told
from afdcd.search.kept import kept_study


def execute_arena(name: str, out: str | None, *, as_json: bool) -> int:
    """Print the rivals of a study side by side, and draw them if asked; the exit status.

    Raises:
        UserError: no such study, one that is no arena, or nothing to draw yet.
    """
    if out:
        need("matplotlib", "plot", "--out")
    arena = arena_of(kept_study(name))
    if out and not arena.done:
        raise UserError(
            f"study {name!r}: no run of its proof has completed; leave out --out as yet"
        )
    print(json.dumps(plain(arena), indent=1) if as_json else "\n".join(told(arena)))
    if out:
        storage.write_bytes(out, picture(arena))
    return 0
