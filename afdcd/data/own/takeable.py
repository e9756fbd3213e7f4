"""Items that cannot be taken whatever they hold: left out before any file is opened."""

from dataclasses import replace

from afdcd.data.own.found import Found, Item
from afdcd.data.own.tree import Tree
from afdcd.data.pairs import NO_UTF8
from afdcd.text import is_utf8


def takeable(tree: Tree, found: Found) -> Found:
    """`found` without names that no file can keep as keys, and without what a link leads out to.

    A form may name a file that it did not see, as the mask that should exist: such a path may be a
    link that the tree does not follow.
    """
    kept, refused = [], []
    for item in found.items:
        reason = _reason(tree, item)
        if reason is None:
            kept.append(item)
        else:
            refused.append(reason)
    if not refused:
        return found
    told = [reason for reason in refused if reason]
    return replace(found, items=tuple(kept), refused=(*found.refused, *told))


def _reason(tree: Tree, item: Item) -> str | None:
    """Why not; empty where the link is told already, None for what can be taken."""
    paths = [place for place in (item.image, item.label) if isinstance(place, str)]
    for path in (*paths, item.key):
        if not is_utf8(path):
            return f"{path}: {NO_UTF8}"
    return "" if any(map(tree.leads_out, paths)) else None
