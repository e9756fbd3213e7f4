"""Names whose words for the kind keep them apart: `img_1` and `mask_1`, `1_sat` and `1_mask`."""

from collections.abc import Sequence
from dataclasses import replace

from afdcd.data.own.pairing import Named
from afdcd.data.own.suffixes import affix, common_suffix

_PICTURE_WORDS = "image|img|im|photo|picture|input|rgb|sat|leftImg8bit"
_MASK_WORDS = "mask|label|lbl|gt|seg|annotation|target"


def trimmed(
    pictures: Sequence[Named], masks: Sequence[Named], suffix: str | None
) -> tuple[Sequence[Named], Sequence[Named]]:
    """The same, without `img_` and `mask_`, or `_sat`, where no mask is named as a picture.

    Only words that mean nothing but the kind are cut off, and only if all names have them.
    """
    if named_alike(pictures, masks, suffix):
        return pictures, masks
    beginning, _ = affix([mask.name for mask in masks], _MASK_WORDS)
    return (
        _cut(pictures, *affix([picture.name for picture in pictures], _PICTURE_WORDS)),
        _cut(masks, beginning, ""),  # what they end with is found as their suffix
    )


def named_alike(pictures: Sequence[Named], masks: Sequence[Named], suffix: str | None) -> bool:
    """Whether any mask is named as a picture, but for `suffix` or one that is found."""
    names, others = {p.name for p in pictures}, {m.name for m in masks}
    if suffix is None:
        return common_suffix(others, names) is not None
    return any(f"{name}{suffix}" in others for name in names)


def _cut(files: Sequence[Named], beginning: str, end: str) -> Sequence[Named]:
    cut = []
    for named in files:
        folder, slash, name = named.name.rpartition("/")
        name = folder + slash + name.removeprefix(beginning).removesuffix(end)
        cut.append(replace(named, name=name, key=named.name))
    return cut
