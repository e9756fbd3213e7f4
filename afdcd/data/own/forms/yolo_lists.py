"""The pictures that a key of `data.yaml` names: folders, or text files that list them."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from afdcd.config import UserError
from afdcd.data.formats import is_picture
from afdcd.data.own.entries import NotTakenError, Refusals, locate
from afdcd.data.own.tree import Tree, nfc


def pictures_of(
    tree: Tree, file: str, key: str, content: dict[str, Any], refusals: Refusals
) -> Iterator[str]:
    """Pictures of `train`, `val` or `test`, in order; what names nothing is told."""
    value = content[key]
    roots = _roots(file, content.get("path"))
    for entry in value if isinstance(value, list) else [value]:
        try:
            if not isinstance(entry, str):
                raise NotTakenError("neither a folder nor a list: correct it")
            yield from _pictures(tree, entry, roots, refusals)
        except (NotTakenError, UserError) as reason:
            refusals.add(file, f"{key}: {entry}", str(reason))


def _pictures(tree: Tree, entry: str, roots: list[str], refusals: Refusals) -> Iterator[str]:
    folder = _folder(tree, entry, roots)
    if folder is not None:
        yield from (file for file in tree.below(folder) if is_picture(file))
        return
    found = next(filter(None, (locate(tree, _inside(entry), root) for root in roots)), None)
    if found is None:
        # For its reason, if it leads out; Roboflow's `../valid/images` means a folder beside the YAML.
        locate(tree, entry.removeprefix("../"), roots[0])
        raise NotTakenError("no such folder or list: correct it, seen from the YAML's folder")
    if is_picture(found):
        yield found
        return
    yield from _listed(tree, found, refusals)


def _listed(tree: Tree, file: str, refusals: Refusals) -> Iterator[str]:
    for line in tree.lines(file):
        try:
            picture = locate(tree, line, str(PurePosixPath(file).parent))
            if picture is None or not is_picture(picture):
                raise NotTakenError("no such picture: fetch it, or take it off the list")
            yield picture
        except NotTakenError as reason:
            refusals.add(file, line, str(reason))


def _roots(file: str, path: object) -> list[str]:
    """Where entries count from: the YAML's folder, and below it `path` if that is in the source.

    `path` is often a folder of another person's disk, which is no reason to refuse the set.
    """
    home = str(PurePosixPath(file).parent)
    home = "" if home == "." else home
    below = _inside(path) if isinstance(path, str) and not path.startswith("/") else ""
    return list(dict.fromkeys([home, "/".join(filter(None, (home, below)))]))


def _folder(tree: Tree, entry: str, roots: list[str]) -> str | None:
    if entry.startswith("/"):
        return None
    parts = _inside(entry)
    known = {nfc(folder): folder for folder in tree.folders}
    for root in [*roots, ""]:
        path = "/".join(filter(None, (root, parts)))
        if path in known:
            return known[path]
    return None


def _inside(entry: str) -> str:
    """`../train/images` counts from nothing; whoever wrote it means a folder beside the YAML."""
    parts = [part for part in nfc(entry.replace("\\", "/")).split("/") if part not in ("", ".")]
    while parts and parts[0] == "..":
        parts.pop(0)
    return "/".join(parts)
