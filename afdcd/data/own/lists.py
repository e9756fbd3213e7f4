"""Lists that say which pictures are of which split, in all the ways in which people write them.

What a line means: `listed_names`. One that names nothing, or two pictures, is refused by itself.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from afdcd.config import UserError
from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.own.folder_words import words
from afdcd.data.own.found import Item
from afdcd.data.own.listed_names import Names
from afdcd.data.own.split_names import split_named
from afdcd.data.own.tree import Tree

_LISTS = (".txt", ".lst", ".list", ".csv")
_LIST_WORDS = frozenset(
    {"list", "lists", "files", "names", "ids", "images", "set", "split", "pairs"}
)

Lists = Mapping[Split | None, Sequence[str]]
"""Split -> files; under None those that list pictures and say no split, CVAT's `default.txt`."""


@dataclass(frozen=True)
class Assigned:
    """As in `Found`."""

    items: tuple[Item, ...]
    refused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()


def find_lists(tree: Tree, below: str = "") -> Lists:
    """The lists in the folder nearest to `below` that has any; `default.txt` counts alone only."""
    by_folder: dict[str, dict[Split | None, list[str]]] = defaultdict(lambda: defaultdict(list))
    for file in tree.below(below):
        folder, _, name = file.rpartition("/")
        stem, _, kind = name.rpartition(".")
        if f".{kind.lower()}" in _LISTS and (said := _says(stem)):
            by_folder[folder][said[0]].append(file)
    if not by_folder:
        return {}
    found = by_folder[min(by_folder, key=_rank)]
    if any(found):
        found.pop(None, None)
    return dict(found)


def _rank(folder: str) -> tuple[bool, int, str]:
    """VOC has lists for other tasks, too, beside those in `ImageSets/Segmentation`."""
    return not folder.lower().endswith("segmentation"), folder.count("/"), folder


def _says(stem: str) -> tuple[Split | None] | None:
    said = words(stem)
    splits = [split for split in map(split_named, said) if split]
    others = {word for word in said if not split_named(word)}
    if len(splits) == 1 and others <= _LIST_WORDS:
        return (splits[0],)
    return (None,) if said == ["default"] else None


def assign(tree: Tree, items: Sequence[Item], lists: Lists) -> Assigned:
    """`items` with the splits of the lists, which go before those of folders.

    What is on no list keeps the split of its folder where there is no list of that split. It trains
    where lists name what does not train, as fast.ai's `valid.txt` does. Otherwise it is left out.

    Raises:
        UserError: no line of a list names a picture, or a picture is in two splits.
    """
    if not lists:
        return Assigned(tuple(items))
    names = Names.of(items, tree.root.resolve().name)
    refused: list[str] = []
    listed: dict[str, tuple[Split | None, str]] = {}
    for split in (*SPLITS, None):
        for file in lists.get(split, ()):
            for key in _read(tree, file, split, names, refused):
                before, where = listed.setdefault(key, (split, file))
                if before != split:
                    raise UserError(
                        f"{file}: {key} is in {where} as well: a picture may be in one split only; "
                        "take it off one of the two lists"
                    )
    return _apply(items, listed, lists, refused)


def _apply(
    items: Sequence[Item],
    listed: Mapping[str, tuple[Split | None, str]],
    lists: Lists,
    refused: list[str],
) -> Assigned:
    rest: Split | None = "train" if "train" not in lists and None not in lists else None
    kept, unlisted, resting = [], [], 0
    for item in items:
        if item.key in listed:
            kept.append(replace(item, split=listed[item.key][0] or item.split))
        elif item.split and item.split not in lists and None not in lists:
            kept.append(item)
        elif rest and not item.split:
            kept.append(replace(item, split=rest))
            resting += 1
        else:
            unlisted.append(str(item.image))
    remark = f"{resting} pictures on no list train: there is no list for train"
    return Assigned(tuple(kept), tuple(refused), (remark,) if resting else (), tuple(unlisted))


def _read(
    tree: Tree, file: str, split: Split | None, names: Names, refused: list[str]
) -> Iterator[str]:
    """The keys that a list names, each once."""
    found: dict[str, None] = {}
    faults = []
    folder = file.rpartition("/")[0]
    for number, line in enumerate(tree.text(file).splitlines(), start=1):
        key, fault = names.meant(line.strip(), split, folder)
        if key is not None:
            found[key] = None
        elif fault:
            faults.append(f"{file}:{number}: {fault}")
    if faults and not found:
        raise UserError(
            f"{faults[0]} (none of {len(faults)} lines does; remove the file if it is no list)"
        )
    header = file.lower().endswith(".csv") and faults and faults[0].startswith(f"{file}:1:")
    refused.extend(faults[1:] if header else faults)
    yield from found
