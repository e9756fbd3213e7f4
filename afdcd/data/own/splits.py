"""Which picture trains, selects or reports: as the set says, or by a rule that is recorded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from afdcd.config import UserError
from afdcd.data.catalog.splits import Split
from afdcd.data.own.found import Item
from afdcd.data.own.groups import GroupBy, grouping, hold_out, neighbours, source_of
from afdcd.data.own.split_names import SplitBy
from afdcd.seeds import derive

_WORDS: dict[GroupBy, str] = {
    "folder": "by folder, whole folders together",
    "name": "by name up to its last number, frames of one name together",
    "picture": "the tail in the order of names, as all pictures are of one group",
}
_AS_SAID = "as the set says"
_ONE_GROUP = (
    "one group of pictures: the last fifth of them in the order of names selects; if they are "
    "independent of each other, --split-by ratio is as good"
)


@dataclass(frozen=True)
class Cut:
    """Attributes:
    items: with their splits; those of none are left out.
    rule: how, for a person and the manifest.
    group: what keeps pictures of train together.
    held_out: keys of train that select under protocol `dev`.
    warnings: what a person should know.
    """

    items: tuple[Item, ...]
    rule: str
    group: GroupBy
    held_out: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    @property
    def drawn(self) -> tuple[Split, ...]:
        """The splits that a rule made, not the set."""
        return () if self.rule == _AS_SAID else ("train", "val")


def cut(items: Sequence[Item], by: SplitBy | None = None) -> Cut:
    """Raises UserError: `--split-by list` of a set without lists, or fewer than two pictures."""
    if len(items) < 2:
        raise UserError(
            f"{len(items)} picture with a label; one to train and one to select is the least"
        )
    said = any(item.split for item in items)
    if by == "list" and not said:
        raise UserError("--split-by list: no list names a split; use folder, group or ratio")
    given = said and by in (None, "folder", "list")
    if not given:
        items = [replace(item, split=None) for item in items]
    kept, rule, warnings = _as_said(items) if given else _new(items, by)
    train = [item.key for item in kept if item.split == "train"]
    group = grouping(train)
    judged = [item.key for item in kept if item.split != "train"]
    held = _ratio(train) if by == "ratio" else hold_out(train, group)
    return Cut(
        tuple(kept),
        rule,
        "picture" if by == "ratio" else group,
        tuple(sorted(held)),
        (*warnings, *_warned(rule, train, judged, held)),
    )


def _warned(
    rule: str, train: Sequence[str], judged: Sequence[str], held: frozenset[str]
) -> list[str]:
    """Of the splits, and of what is held out of train, unless it is a tail: its end is beside train."""
    tail = rule.endswith(_WORDS["picture"])
    found = [] if tail else _close(train, judged)
    if not found and len(held) < len(train):
        found = _copies([key for key in train if key not in held], sorted(held))
    return found


def _as_said(items: Sequence[Item]) -> tuple[list[Item], str, list[str]]:
    kept = [item for item in items if item.split]
    warnings = []
    if left := len(items) - len(kept):
        example = next(item for item in items if not item.split)
        warnings.append(f"{left} pictures are in no split and were left out, e.g. {example.image}")
    present = {item.split for item in kept}
    if "val" in present or "train" not in present:
        return kept, _AS_SAID, warnings
    train = [item for item in kept if item.split == "train"]
    others = [item for item in kept if item.split != "train"]
    again, rule, more = _new(train, None)
    note = f"no val split: a part of train selects, {rule}"
    return [*again, *others], f"{_AS_SAID}; val from train, {rule}", [*warnings, note, *more]


def _new(items: Sequence[Item], by: SplitBy | None) -> tuple[list[Item], str, list[str]]:
    keys = [item.key for item in items]
    if by == "ratio":
        return _marked(items, _ratio(keys)), "a fifth of the pictures, drawn by name", []
    group = grouping(keys, "folder" if by == "folder" else None)
    if by == "folder" and group != "folder":
        raise UserError("--split-by folder: all pictures are in one folder; use group or ratio")
    warnings = [_ONE_GROUP] if group == "picture" else []
    return _marked(items, hold_out(keys, group)), _WORDS[group], warnings


def _marked(items: Sequence[Item], held: frozenset[str]) -> list[Item]:
    split: dict[bool, Split] = {True: "val", False: "train"}
    return [replace(item, split=split[item.key in held]) for item in items]


def _ratio(keys: Sequence[str]) -> frozenset[str]:
    """A fifth, one at least and not all, by a hash of the names: others that come later change none."""
    sources = sorted({source_of(key) for key in keys}, key=lambda name: derive(0, "ratio", name))
    held = set(sources[: max(1, len(sources) // 5)]) if len(sources) > 1 else set()
    return frozenset(key for key in keys if source_of(key) in held)


def _close(train: Sequence[str], judged: Sequence[str]) -> list[str]:
    """What makes a score too good: neighbours in a video, and copies that a tool augmented."""
    warnings = []
    if beside := neighbours(train, judged):
        warnings.append(
            f"{len(beside)} pictures outside train have a neighbour in train, e.g. {beside[0][1]} and "
            f"{beside[0][0]}: if they are frames of a video scores are too good; --split-by group "
            "keeps them together"
        )
    return [*warnings, *_copies(train, judged)]


def _copies(train: Sequence[str], judged: Sequence[str]) -> list[str]:
    stems = {source_of(key): key for key in train if ".rf." in key}
    copies = [(stems[s], key) for key in judged if (s := source_of(key)) in stems]
    if not copies:
        return []
    return [
        f"{len(copies)} pictures outside train are copies of one in train that were augmented, "
        f"e.g. {copies[0][1]} and {copies[0][0]}: export the set without augmentation"
    ]
