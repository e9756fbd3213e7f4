"""An arena as people read it: a table of scores, a table of costs, and what can be said; and as JSON."""

import math
from typing import Any

from afdcd.search.arena import BASELINE, Arena, Row
from afdcd.search.arena_cost import RivalCost
from afdcd.text import percent, table

APART = "cannot be told apart"
RULE = (
    f"rows of equal rank {APART} from the first of them: paired t test over common seeds, all pairs "
    "together at 5 % (Holm)"
)


def told(arena: Arena) -> list[str]:
    """The whole report, a line each."""
    lines = [f"arena of study {arena.study}, by {arena.key}"]
    if arena.rows:
        lines += [*_scores(arena), *_sources(arena), "", *_verdicts(arena), *_note(arena), ""]
    else:
        lines += ["the proof has not begun, so there is nothing to compare yet", ""]
    lines += [*_costs(arena), *_shared(arena)]
    return [*lines, *_unfinished(arena), *(f"failed: {line}" for line in arena.failed)]


def plain(arena: Arena) -> dict[str, Any]:
    """The same as values that JSON knows; scores and gains are shares of 1."""
    return {
        "study": arena.study,
        "budget_per": arena.key,
        "score": arena.label,
        "protocol": arena.protocol,
        "seeds": list(arena.seeds),
        "rows": [_plain_row(row) for row in arena.rows],
        "costs": [vars(cost) for cost in arena.costs],
        "shared_device_hours": arena.shared,
        "proof_runs": {"completed": arena.done, "wanted": len(arena.rows) * len(arena.seeds)},
        "going": arena.going,
        "failed": arena.failed,
    }


def _plain_row(row: Row) -> dict[str, Any]:
    spread, gain, figure = row.spread, row.gain, row.figure
    low, high = (None, None) if gain is None or gain.n < 2 else _ends(gain.mean, gain.half)
    return {
        "rival": row.rival,
        "kind": row.kind,
        "distiller": row.setting.distiller.plain(),
        "rank": row.rank,
        "cannot_be_told_apart_from": list(row.tied),
        "scores": {str(seed): value for seed, value in row.scores.items()},
        "mean": spread.mean if spread else None,
        "sd": spread.sd if spread and spread.n > 1 else None,
        "interval": list(_ends(spread.mean, row.half)) if spread and row.half else None,
        "gain": gain.mean if gain else None,
        "gain_interval": None if low is None else [low, high],
        "verdict": gain.verdict if gain else None,
        "published": vars(figure) if figure else None,
    }


def _ends(mean: float, half: float) -> tuple[float, float]:
    return mean - half, mean + half


def _scores(arena: Arena) -> list[str]:
    ours = (f"val {arena.label}", "sd", "n", "95 % of the mean", "gain over the baseline, 95 %")
    titles = ("rank", "method", *ours, "published")
    marks = {source: f" [{at}]" for at, source in enumerate(_sourced(arena), 1)}
    rows = [_cells(row, arena, marks) for row in arena.rows]
    return table(titles, rows, rules=()).splitlines()


def _cells(row: Row, arena: Arena, marks: dict[str, str]) -> tuple[str, ...]:
    shared = sum(1 for other in arena.rows if other.rank == row.rank) > 1
    rank = "-" if row.rank is None else f"{row.rank}{'=' if shared else ''}"
    spread, figure, interval = row.spread, row.figure, "-"
    if spread and row.half is not None:
        low, high = _ends(spread.mean, row.half)
        interval = f"[{100 * low:.2f}, {100 * high:.2f}]"
    mean, sd = (spread.mean, spread.sd) if spread else (math.nan, math.nan)
    count = f"{len(row.scores)}/{len(arena.seeds)}"
    published = f"{percent(figure.value)}{marks[figure.source]}" if figure else "-"
    return (rank, row.name, percent(mean), percent(sd), count, interval, _gain(row), published)


def _gain(row: Row) -> str:
    """`+0.12 points [-0.50, +0.73], cannot be told apart`."""
    if row.kind == BASELINE or row.gain is None:
        return "-"
    verdict = row.gain.verdict
    if verdict == "unproven":
        return f"{100 * row.gain.mean:+.2f} points, too few seeds as yet"
    return f"{row.gain}, {APART if verdict == 'not distinguishable' else verdict}"


def _sourced(arena: Arena) -> list[str]:
    return list(dict.fromkeys(row.figure.source for row in arena.rows if row.figure))


def _sources(arena: Arena) -> list[str]:
    lines = [f"[{at}] {source}" for at, source in enumerate(_sourced(arena), 1)]
    splits = {row.figure.split for row in arena.rows if row.figure}
    if splits:
        lines.append(
            f"published scores are of the {' and '.join(splits)} split; ours are of val, protocol "
            f"{arena.protocol}"
        )
    return lines


def _verdicts(arena: Arena) -> list[str]:
    """Who leads, and who cannot be told apart from whom."""
    ranked = [row for row in arena.rows if row.rank is not None]
    if len(ranked) < 2:
        return ["fewer than two rows have three seeds, so none has a rank yet"]
    first, *others = ranked
    said = f"{APART} from it: {'; '.join(first.tied)}"
    if len(first.tied) == len(others):
        said = f"all other rows {APART} from it"
    elif not first.tied:
        said = "better than every other row"
    return [f"first: {first.name}; {said}", RULE]


def _note(arena: Arena) -> list[str]:
    pairs = {row.setting.pair.student.name for row in arena.rows}
    if len(pairs) > 1:
        return [
            f"the rows have several students ({', '.join(sorted(pairs))}): ranks compare these too"
        ]
    return []


def _costs(arena: Arena) -> list[str]:
    titles = ("method", "search", "runs", "failed", "search, h", "proof, h", "in all, h")
    rows = [_cost_cells(cost) for cost in arena.costs]
    lines = table(titles, rows, numbers=5, rules=()).splitlines()
    return ["device-hours, lost and failed work included", *lines]


def _cost_cells(cost: RivalCost) -> tuple[str, ...]:
    hours = (cost.searched, cost.proven, cost.searched + cost.proven)
    share = f"{cost.received:.3g} of {cost.share:g} full runs"
    return (cost.rival, share, str(cost.runs), str(cost.failed), *(f"{h:.3g}" for h in hours))


def _shared(arena: Arena) -> list[str]:
    named = ", ".join(f"{what} {hours:.3g}" for what, hours in arena.shared.items() if hours)
    return [f"beside that, for no method alone: {named}"] if named else []


def _unfinished(arena: Arena) -> list[str]:
    open_shares = [cost.rival for cost in arena.costs if cost.received + 1 <= cost.share]
    wanted, lines = len(arena.rows) * len(arena.seeds), []
    if open_shares:
        lines.append(f"not finished: the search of {', '.join(open_shares)}")
    if arena.done < wanted:
        lines.append(f"not finished: {arena.done} of {wanted} runs of the proof have completed")
    if arena.going:
        lines.append(f"begun and not ended: {arena.going} of all runs")
    return lines
