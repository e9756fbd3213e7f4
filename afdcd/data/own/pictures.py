"""Pictures of a folder that nobody labelled."""

from pathlib import Path, PurePosixPath

from afdcd.config import UserError
from afdcd.data.formats import is_picture
from afdcd.data.own.tree import Tree, nfc


def pictures_below(folder: Path) -> dict[str, str]:
    """Key (the path below `folder` without its ending) -> path below `folder`, sorted.

    Raises:
        UserError: two pictures have one key, or the folder cannot be listed.
    """
    found: dict[str, str] = {}
    for path in Tree.of(folder).files:
        place = PurePosixPath(path)
        if not is_picture(path):
            continue
        key = nfc(str(place.with_suffix("")))
        if found.setdefault(key, path) != path:
            raise UserError(
                f"{folder}: {found[key]} and {path}: two pictures of one name: keep one"
            )
    return found
