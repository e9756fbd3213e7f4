"""A data set of a person's own: from its source folder to what `prepare` builds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from afdcd.config import Source, UserError
from afdcd.data.catalog.dataset import Dataset
from afdcd.data.catalog.labels import Drawing, Encoding
from afdcd.data.catalog.splits import UNLABELLED, Split
from afdcd.data.own.choices import Choices
from afdcd.data.own.classes import Classes, resolve
from afdcd.data.own.classes_file import ClassesFile, read_classes
from afdcd.data.own.copies import without_copies
from afdcd.data.own.forms import FORMS
from afdcd.data.own.found import UNCOVERED, Found, Hints, Table, word
from afdcd.data.own.left_out import left_out
from afdcd.data.own.masks import MaskColours, MaskNumbers
from afdcd.data.own.pictures import pictures_below
from afdcd.data.own.questions import check_masks
from afdcd.data.own.splits import Cut, cut
from afdcd.data.own.spoilt import NONE, Spoilt
from afdcd.data.own.takeable import takeable
from afdcd.data.own.tree import Tree
from afdcd.data.pairs import Layout, Pair
from afdcd.data.shards.manifest import OwnData
from afdcd.text import printable


@dataclass(frozen=True)
class OwnSet:
    """What `build` needs of a data set that is in no catalog.

    Attributes:
        drawn: splits that a rule made, which may be made otherwise.
    """

    dataset: Dataset
    layout: Layout
    own: OwnData
    drawn: frozenset[Split] = frozenset()


def find(choices: Choices) -> tuple[Tree, Found]:
    """The first form whose markers the source has.

    Raises:
        UserError: no folder, no form that is known, or none with a picture.
    """
    tree = Tree.of(choices.source)
    hints = Hints(choices.mask_suffix, choices.columns)
    found = next(filter(None, (form(tree, hints) for form in FORMS)), None)
    if found is None:
        raise left_out(tree) or UserError(f"{choices.source}: {_UNKNOWN}")
    found = takeable(tree, found)
    if not found.items:
        raise UserError(
            "\n".join([f"{choices.source}: {found.form}: no picture with a label", *found.refused])
        )
    return tree, found


_SHOWN = 20
_UNKNOWN = (
    "no form of data set that is known: looked for images/ with masks/ or labels/, img_dir/ with "
    "ann_dir/, COCO or labelme JSON, data.yaml, labelmap.txt, class tables, Parquet; rename the two "
    "folders to images/ and masks/ (docs/own_data.md)"
)


def own_set(choices: Choices, spoilt: Spoilt = NONE) -> OwnSet:
    """The data set at `choices.source`.

    Args:
        spoilt: is split no more: told, and left out.

    Raises:
        UserError: no form of it is known, or what its labels mean is left open.
    """
    tree, found = find(choices)
    file = read_classes(choices.classes) if choices.classes else None
    if file is None and not found.said.names:
        check_masks(tree.root, found, None)  # says what the masks hold
    classes = resolve(found.said, file, choices.ignore, choices.background)
    remarks = check_masks(tree.root, found, classes)
    items = [item for item in found.items if item.key not in spoilt.keys]
    divided = cut(items, choices.split_by)
    pairs, refused, copies = without_copies(
        tree.root, _pairs(tree.root, divided, choices.unlabelled), frozenset(divided.held_out)
    )
    layout = Layout(
        folder=tree.root,
        name=f"{found.form}, {len(divided.items)} pictures",
        encoding=_encoding(found, classes),
        pairs=tuple(pairs),
        unlisted=found.unlisted,
        refused=_told([*found.refused, *_leaving(tree), *refused, *spoilt.offences]),
        warnings=_told(
            [
                *found.remarks,
                *_uncovered(found, file, choices),
                *remarks,
                *divided.warnings,
                *copies,
            ]
        ),
    )
    return OwnSet(
        _dataset(choices.name, classes), layout, _own(classes, divided), frozenset(divided.drawn)
    )


def _uncovered(
    found: Found, file: tuple[ClassesFile, Source] | None, choices: Choices
) -> list[str]:
    """What is taken for granted where nobody said it."""
    name = found.said.names.get(UNCOVERED)
    if name is None or choices.background or (file and file[0].background):
        return []
    return [
        f"pixels that no annotation covers are the class {name!r}; --background ignore leaves them out"
    ]


def _told(lines: Sequence[str]) -> tuple[str, ...]:
    """They hold names of files, which need be no text."""
    return tuple(map(printable, lines))


def _encoding(found: Found, classes: Classes) -> Encoding | Drawing:
    table: Table = classes.table
    if found.encoding:
        return found.encoding(table)
    if classes.colourful:
        return MaskColours(
            "class colours", {r: t for r, t in table.items() if isinstance(r, tuple)}
        )
    return MaskNumbers("class numbers", {r: t for r, t in table.items() if isinstance(r, int)})


def _pairs(folder: Path, divided: Cut, unlabelled: Path | None) -> list[Pair]:
    pairs = [Pair(i.split, i.key, i.image, i.label) for i in divided.items if i.split]
    if unlabelled is None:
        return pairs
    if not unlabelled.is_dir():
        raise UserError(f"--unlabelled {unlabelled}: no such folder; give one of pictures")
    below = pictures_below(unlabelled)
    if not below:
        raise UserError(f"--unlabelled {unlabelled}: holds no picture")
    # Paths are told below the source; both may be reached through links.
    start = os.path.relpath(unlabelled.resolve(), folder.resolve())
    return pairs + [
        Pair(UNLABELLED, f"{UNLABELLED}/{key}", f"{start}/{path}", None)
        for key, path in below.items()
    ]


def _leaving(tree: Tree) -> list[str]:
    reason = "a link out of the source folder, not followed: copy the file"
    return [f"{path}: {reason}" for path in tree.leaving]


def _dataset(name: str, classes: Classes) -> Dataset:
    """For judging alone; who reads the prepared set takes it from the manifest."""
    return Dataset(
        name=name,
        classes=classes.names,
        palette=classes.palette,
        raw_to_train={},
        counts={},
        image_size=None,
        held_out=_nothing,
        unlabelled=(UNLABELLED,),
    )


def _nothing(key: str) -> bool:
    return False


def _own(classes: Classes, divided: Cut) -> OwnData:
    return OwnData(
        palette=classes.palette,
        ignored=tuple(word(raw) for raw in classes.ignored),
        split=divided.rule,
        group=divided.group,
        held_out=divided.held_out,
    )
