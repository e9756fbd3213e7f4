"""The two ways in which CamVid's editions lay out their folders."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from afdcd.data.catalog.splits import SPLITS, Split
from afdcd.data.pairs import Pair, counted, in_folder, pair_up
from afdcd.data.raw.folders import pairs_in, pictures

_LISTS = ("{split}.txt", "camvid_{split}_list.txt")


class Found(NamedTuple):
    """What a `Layout` says of its files, before any of them is opened."""

    name: str
    pairs: tuple[Pair, ...]
    unlisted: tuple[str, ...]


@dataclass(frozen=True)
class SplitFolders:
    """Two folders per split, with or without a list of `image label` lines."""

    title: str
    labels: str
    ending: str

    @property
    def needs(self) -> list[str]:
        return [f"{split}{kind}" for split in SPLITS for kind in ("", self.labels)]

    def find(self, folder: Path) -> Found:
        lists = {split: _list_of(folder, split) for split in SPLITS}
        pairs = [pair for split in SPLITS for pair in self._pairs(folder, split, lists[split])]
        names = ", ".join(path.name if path else "no list" for path in lists.values())
        name = f"CamVid, {self.title} ({names}), {counted(pairs)}"
        used = {path for pair in pairs for path in (pair.image, pair.label)}
        present = {path for name in self.needs for path in pictures(folder, name).values()}
        return Found(name, tuple(pairs), tuple(sorted(present - used)))

    def _pairs(self, folder: Path, split: Split, listing: Path | None) -> list[Pair]:
        if listing is not None:
            listed = pairs_in(listing)
            return [Pair(split, PurePosixPath(image).stem, image, label) for image, label in listed]
        home = f"{split}{self.labels}"
        return pair_up(
            split,
            pictures(folder, split),
            pictures(folder, home, self.ending),
            in_folder(split, ".png"),
            in_folder(home, f"{self.ending}.png"),
        )


@dataclass(frozen=True)
class OneFolder:
    """All images in one folder, all labels in another; `cut` gives the split of each frame."""

    title: str
    images: str
    labels: str
    ending: str
    cut: Callable[[Path, Set[str]], dict[str, Split]]
    lists: tuple[str, ...] = ()

    @property
    def needs(self) -> list[str]:
        return [self.images, self.labels, *self.lists]

    def find(self, folder: Path) -> Found:
        images = pictures(folder, self.images)
        labels = pictures(folder, self.labels, self.ending)
        splits = self.cut(folder, images.keys() | labels.keys())
        pairs = [
            Pair(
                split,
                key,
                images.get(key, f"{self.images}/{key}.png"),
                labels.get(key, f"{self.labels}/{key}{self.ending}.png"),
            )
            for key, split in sorted(splits.items(), key=lambda item: (SPLITS.index(item[1]), item))
        ]
        name = f"CamVid, {self.title}, {counted(pairs)}"
        unlisted = [
            p for found in (images, labels) for key, p in found.items() if key not in splits
        ]
        return Found(name, tuple(pairs), tuple(sorted(unlisted)))


def _list_of(folder: Path, split: Split) -> Path | None:
    candidates = (folder / name.format(split=split) for name in _LISTS)
    return next((path for path in candidates if path.is_file()), None)
