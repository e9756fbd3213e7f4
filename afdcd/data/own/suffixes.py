"""What the names of masks add to the names of their pictures: found from the whole set.

File by file it cannot be told: `v1.2_mask.png` is the mask of `v1.2.jpg`, or of `v1.2_mask.jpg`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

KNOWN = (
    *("_mask", "_gt", "_label", "_labels", "_L", "_P", "_seg", "_labelTrainIds", "_labelIds"),
    *(".mask", "-mask", "_annotation", "_masks", "mask"),
)
"""What tools add, those that more of them add first."""
_DIGITS = re.compile(r"[\W_]*\d+")


def common_suffix(names: Iterable[str], pictures: Collection[str]) -> str | None:
    """The ending that pairs most of the masks `names`; None where no mask is named as a picture."""
    counts = Counter(suffix for name in names for suffix in _endings(name, pictures))
    if not counts:
        return None
    return max(counts, key=lambda suffix: (counts[suffix], *_preference(suffix)))


def beside_suffix(names: Collection[str]) -> str:
    """What masks add to the names of pictures among which they lie; empty where nothing is found.

    A suffix that no tool uses must pair half of the pictures: `cat_black.jpg` is no mask of
    `cat.jpg`.
    """
    counts = Counter(suffix for name in names for suffix in _endings(name, names) if suffix)
    fit = [s for s in counts if s in KNOWN or (not counts_up(s) and 4 * counts[s] >= len(names))]
    return max(fit, key=lambda suffix: (counts[suffix], *_preference(suffix)), default="")


def ending(name: str, pictures: Collection[str]) -> str | None:
    """What mask `name` adds to the longest name of a picture that it begins with."""
    return next(_endings(name, pictures), None)


def affix(names: Collection[str], words: str) -> tuple[str, str]:
    """(beginning, ending) made of one of `words` that all `names` share, as `img_` or `_sat`."""
    bases = [name.rpartition("/")[2] for name in names]
    for shape, place in ((rf"((?:{words})[_\- ])", 0), (rf"([_\- ](?:{words}))$", 1)):
        look = re.compile(shape, re.IGNORECASE)
        found = {
            hit[1] if (hit := (look.search if place else look.match)(b)) else "" for b in bases
        }
        if len(found) == 1 and (shared := found.pop()):
            return ("", shared) if place else (shared, "")
    return "", ""


def counts_up(suffix: str) -> bool:
    """Whether it only numbers frames, as `_12`: then it is another picture's name."""
    return _DIGITS.fullmatch(suffix) is not None


def _endings(name: str, pictures: Collection[str]) -> Iterator[str]:
    """Endings below the last folder, the shortest first; `11` is no `1` with the ending `1`."""
    for cut in range(len(name), name.rfind("/") + 1, -1):
        suffix = name[cut:]
        if (not suffix or not suffix[0].isalnum() or suffix in KNOWN) and name[:cut] in pictures:
            yield suffix


def _preference(suffix: str) -> tuple[bool, int, int, str]:
    """Of endings that pair as many: none, one that tools use, the shortest."""
    return not suffix, -_rank(suffix), -len(suffix), suffix


def _rank(suffix: str) -> int:
    return KNOWN.index(suffix) if suffix in KNOWN else len(KNOWN)
