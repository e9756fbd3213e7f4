"""Pictures that turned out to be unusable when a split lost all it had: the others are split anew."""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from afdcd.data.catalog.splits import Split
from afdcd.data.pairs import Pair


@dataclass(frozen=True)
class Spoilt:
    """Attributes:
    keys: of pictures that are split no more.
    offences: why, a line for each file.
    """

    keys: frozenset[str] = frozenset()
    offences: tuple[str, ...] = ()

    def and_all_of(
        self, splits: Set[Split], pairs: Iterable[Pair], offences: Sequence[str]
    ) -> "Spoilt":
        keys = {pair.key for pair in pairs if pair.split in splits}
        return Spoilt(self.keys | keys, (*self.offences, *offences))


NONE = Spoilt()
