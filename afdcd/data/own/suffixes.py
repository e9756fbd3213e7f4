"""What the names of masks add to the names of their pictures: found from the whole set.

File by file it cannot be told: `v1.2_mask.png` is the mask of `v1.2.jpg`, or of `v1.2_mask.jpg`.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator

_KNOWN = "_mask _gt _label _labels _L _P _seg _labelTrainIds _labelIds .mask -mask _annotation mask"
_KNOWN_RANK = {suffix: -rank for rank, suffix in enumerate(_KNOWN.split())}
_DIGITS = re.compile(r"[\W_]*\d+")


def common_suffix(names: Iterable[str], pictures: Collection[str]) -> str | None:
    """The ending that pairs most of the masks `names`; None where no mask is named as a picture."""
    counts = Counter(suffix for name in names for suffix in _endings(name, pictures))
    if not counts:
        return None
    return max(counts, key=lambda suffix: (counts[suffix], *_preference(suffix)))


def ending(name: str, pictures: Collection[str]) -> str | None:
    """What mask `name` adds to the longest name of a picture that it begins with."""
    return next(_endings(name, pictures), None)


def counts_up(suffix: str) -> bool:
    """Whether it only numbers frames, as `_12`: then it is another picture's name."""
    return _DIGITS.fullmatch(suffix) is not None


def _endings(name: str, pictures: Collection[str]) -> Iterator[str]:
    """Endings below the last folder, the shortest first; `11` is no `1` with the ending `1`."""
    for cut in range(len(name), name.rfind("/") + 1, -1):
        suffix = name[cut:]
        if (not suffix or not suffix[0].isalnum() or suffix in _KNOWN_RANK) and name[
            :cut
        ] in pictures:
            yield suffix


def _preference(suffix: str) -> tuple[bool, int, int, str]:
    """Of endings that pair as many: none, one that tools use, the shortest."""
    return not suffix, _KNOWN_RANK.get(suffix, -len(_KNOWN_RANK)), -len(suffix), suffix
