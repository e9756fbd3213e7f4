"""Ranks of settings that ran with the same seeds, with ties where they cannot be told apart.

Any two are compared by the paired t test over the seeds that both have. These are many questions at once,
so all pairs together are judged by Holm's rule, at 5 % for the whole table: stricter than the interval of
one difference. From the best mean downwards, a setting shares the rank of the first one above it that
leads a rank, unless the two are told apart; then it leads the next.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afdcd.search.evidence import LEAST, difference, holm, spread


@dataclass(frozen=True)
class Ranked:
    """One setting.

    Attributes:
        at: its place in what was given.
        rank: from 1; None with fewer than three seeds.
        tied: places of those from which it cannot be told apart, whatever their rank.
    """

    at: int
    rank: int | None
    tied: tuple[int, ...] = ()


def ranked(scores: Sequence[Mapping[int, float]], *, higher_is_better: bool) -> list[Ranked]:
    """Scores by seed of each setting; the best mean first, those without a rank last."""
    sign = -1 if higher_is_better else 1
    means = [sign * spread(one).mean if one else 0.0 for one in scores]
    enough = [at for at, one in enumerate(scores) if len(one) >= LEAST]
    order = sorted(enough, key=means.__getitem__)
    apart, found, leader, rank = _apart(scores, order), [], 0, 1
    for place, at in enumerate(order):
        if frozenset((order[leader], at)) in apart:
            leader, rank = place, place + 1
        tied = tuple(o for o in order if o != at and frozenset((o, at)) not in apart)
        found.append(Ranked(at, rank, tied))
    rest = [at for at in range(len(scores)) if at not in enough]
    rest.sort(key=lambda at: (not scores[at], means[at]))
    return [*found, *(Ranked(at, None) for at in rest)]


def _apart(scores: Sequence[Mapping[int, float]], places: list[int]) -> set[frozenset[int]]:
    """The pairs that are told apart."""
    pairs = list(itertools.combinations(places, 2))
    apart = (difference(scores[a], scores[b]) for a, b in pairs)
    told = holm([one.p_value if one else 1.0 for one in apart])
    return {frozenset(pair) for pair, holds in zip(pairs, told, strict=True) if holds}
