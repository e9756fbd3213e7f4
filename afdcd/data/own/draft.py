"""`--draft classes.yaml`: what the labels hold, for a person to name, with a picture of each value."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from afdcd.config import UserError
from afdcd.data.catalog.labels import Drawing, colour_bands
from afdcd.data.images import PictureError, decode, to_rgb
from afdcd.data.own.found import Found, Raw, word
from afdcd.data.own.masks import as_numbers, open_mask
from afdcd.data.own.survey import Seen, Survey, survey, view_of
from afdcd.data.places import read
from afdcd.data.show.legend import INK, PAPER
from afdcd.text import percent
from afdcd.yaml_text import quoted

_MOST = 4096  # values: more are no classes
_CROP, _TEXT, _COLUMNS, _GAP = 192, 24, 5, 10
_DIM = 0.25  # of what is not the value


def write_draft(path: Path, root: Path, found: Found) -> tuple[Path, Path, str]:
    """Write the draft and its contact sheet beside it; both paths, and the gist.

    Raises:
        UserError: a file is there already or cannot be written, or the labels hold too many values.
    """
    sheet = path.with_suffix(".png")
    for file in (path, sheet):
        if file.exists():
            raise UserError(f"{file}: is there already; choose another --draft, or remove it")
    looked = survey(root, found, found.items)
    if len(looked.seen) > _MOST:
        raise UserError(
            f"{root}: the labels hold {len(looked.seen)} values; photographs, or masks that were "
            "scaled with interpolation? export them again"
        )
    try:
        path.write_text(_text(root, found, looked), encoding="utf-8")
        _sheet(root, found, looked).save(sheet)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from None
    unread = (
        f"; {len(looked.faults)} cannot be read, e.g. {looked.faults[0]}" if looked.faults else ""
    )
    return path, sheet, f"{looked.labels} labels hold {looked.brief()}{unread}"


def _text(root: Path, found: Found, looked: Survey) -> str:
    named = bool(found.said.names)
    lines = [
        f"# What {looked.labels} labels of {root.name} hold ({found.form}).",
        "# The order is that of the train ids. To merge two: values: [1, 4], or from: [car, bus].",
        "# What is no class leaves the list and goes to ignore.",
        *([] if named else ["# Every name is to be completed: nothing is guessed."]),
        "classes:",
        *_entries(looked, found),
        f"ignore: [{', '.join(_said(raw) for raw in _ignored(looked, found))}]",
    ]
    return "\n".join(lines) + "\n"


def _ordered(looked: Survey, found: Found) -> Iterable[Seen]:
    order = {raw: place for place, raw in enumerate(found.said.names)}
    return sorted(looked.seen, key=lambda seen: (order.get(seen.raw, len(order)), _key(seen.raw)))


def _key(raw: Raw) -> tuple[int, str]:
    return (raw, "") if isinstance(raw, int) else (0, str(raw))


def _entries(looked: Survey, found: Found) -> Iterator[str]:
    """A line for each class that the set names, also of those without pixels: none may be forgotten."""
    names, dropped = found.said.names, _ignored(looked, found)
    for name in dict.fromkeys(names.values()):
        raws = [raw for raw, own in names.items() if own == name]
        said = f"name: {quoted(name.strip())}, from: {quoted(name)}"
        yield f"  - {{{said}}}  # {_note(raws, looked)}"
    for seen in _ordered(looked, found):
        if seen.raw not in names and seen.raw not in dropped:
            kind = "colour" if isinstance(seen.raw, tuple) else "value"
            yield f'  - {{name: "", {kind}: {_said(seen.raw)}}}  # {_note([seen.raw], looked)}'


def _note(raws: Sequence[Raw], looked: Survey) -> str:
    pictures = [seen.pictures for seen in looked.seen if seen.raw in raws]
    some = " or more" if len(pictures) > 1 else ""  # they may be in the same labels or not
    share = percent(sum(looked.share(raw) for raw in raws))
    return f"{share}, in {max(pictures, default=0)}{some} of {looked.labels}"


def _ignored(looked: Survey, found: Found) -> list[Raw]:
    """What the labels hold and the set itself ignores."""
    return [seen.raw for seen in _ordered(looked, found) if seen.raw in found.said.ignored]


def _said(raw: Raw) -> str:
    """A raw value as classes.yaml has it."""
    return (
        quoted(raw) if isinstance(raw, str) else str(list(raw) if isinstance(raw, tuple) else raw)
    )


def _sheet(root: Path, found: Found, looked: Survey) -> Image.Image:
    tiles = [_tile(root, found, seen, looked) for seen in _ordered(looked, found)][:200]
    rows = -(-len(tiles) // _COLUMNS)
    step = _CROP + _GAP
    size = (_GAP + _COLUMNS * step, _GAP + rows * (step + _TEXT))
    sheet = Image.new("RGB", size, PAPER)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, _COLUMNS)
        sheet.paste(tile, (_GAP + column * step, _GAP + row * (step + _TEXT)))
    return sheet


def _tile(root: Path, found: Found, seen: Seen, looked: Survey) -> Image.Image:
    """A crop of the picture that has most of a value, everything else dimmed, above its name."""
    tile = Image.new("RGB", (_CROP, _CROP + _TEXT), PAPER)
    with contextlib.suppress(OSError, PictureError):  # the report of `prepare` says why
        image, mask = to_rgb(decode(read(root, seen.item.image))), _where(root, found, seen)
        if image.shape[:2] == mask.shape:
            tile.paste(Image.fromarray(_crop(image, mask)), (0, 0))
    text = f"{found.said.names.get(seen.raw) or word(seen.raw)}  {percent(looked.share(seen.raw))}"
    ImageDraw.Draw(tile).text((2, _CROP + 4), text, INK, ImageFont.load_default(14))
    return tile


def _where(root: Path, found: Found, seen: Seen) -> np.ndarray:
    item = seen.item
    assert item.label is not None
    data = read(root, item.label)
    if not found.encoding:
        return _raw(data, coloured=isinstance(seen.raw, tuple)) == _code(seen.raw)
    raws = {*found.said.names, *found.said.ignored}
    encoding = found.encoding({raw: int(raw != seen.raw) for raw in raws})
    if isinstance(encoding, Drawing):
        return encoding.draw(data, view_of(root, item)) == 0
    return encoding.train_ids(data) == 0


def _raw(data: bytes, *, coloured: bool) -> np.ndarray:
    """The number of each pixel, or its colour as one number."""
    label = open_mask(data)
    if coloured:
        return np.concatenate(list(colour_bands(label)))
    return np.asarray(as_numbers(label))


def _code(raw: Raw) -> int:
    if isinstance(raw, tuple):
        return raw[0] << 16 | raw[1] << 8 | raw[2]
    assert isinstance(raw, int)
    return raw


def _crop(image: UInt8[np.ndarray, "H W 3"], mask: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """The square around the middle of the value's pixels, twice as wide as half of them spread."""
    rows, columns = np.nonzero(mask)
    dimmed = np.where(mask[:, :, None], image, (image * _DIM).astype(np.uint8))
    middle = int(np.median(rows)), int(np.median(columns))
    spread = max(np.abs(rows - middle[0]).mean(), np.abs(columns - middle[1]).mean())
    half = int(min(max(32, 2 * spread), max(mask.shape) / 2))
    top = min(max(0, middle[0] - half), max(0, mask.shape[0] - 2 * half))
    left = min(max(0, middle[1] - half), max(0, mask.shape[1] - 2 * half))
    part = Image.fromarray(dimmed[top : top + 2 * half, left : left + 2 * half])
    square = Image.new("RGB", (_CROP, _CROP), PAPER)
    scale = _CROP / max(part.size)
    size = (max(1, round(part.width * scale)), max(1, round(part.height * scale)))
    square.paste(part.resize(size, Image.Resampling.NEAREST), (0, 0))
    return np.asarray(square)
