"""What the runs of `curve` come to: the verdict on both sides, and the text that a person reads."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from afdcd.bench.report import OFFICIAL, OURS, heading
from afdcd.text import table
from benchmarks.curve_runs import Run

SHOWN = 5  # points of a curve in the table


def scores(runs: Sequence[Run], side: str) -> list[float]:
    return [run.miou for run in runs if run.side == side]


def last_losses(runs: Sequence[Run], side: str) -> list[float]:
    """Sum of the terms at the last point."""
    return [sum(v[-1] for v in run.terms.values()) for run in runs if run.side == side]


def verdict(ours: Sequence[float], official: Sequence[float]) -> dict[str, Any]:
    """Whether the two means differ by no more than one side's seeds do.

    The standard error is that of the mean difference of runs of one seed: a difference of one or
    two of it is chance, also where two seeds happened to score alike. One run tells neither.
    """
    paired = [a - b for a, b in zip(ours, official, strict=True)]
    difference = mean(paired)
    several = len(paired) > 1
    spread = max(max(side) - min(side) for side in (ours, official)) if several else None
    return {
        OURS: list(ours),
        OFFICIAL: list(official),
        "difference": difference,
        "standard_error": stdev(paired) / len(paired) ** 0.5 if several else None,
        "spread": spread,
        "within_spread": None if spread is None else abs(difference) <= spread,
    }


def text_of(values: dict[str, Any], runs: Sequence[Run]) -> str:
    training, miou, loss = values["training"], values["miou"], values["last_loss"]
    title = (
        f"{values['pair']} on rendered street scenes: ours in {values['dtype']}, official in "
        f"float32; {training['iterations']} x {training['batch']} crops of "
        f"{values['crop'][0]}x{values['crop'][1]}"
    )
    return "\n\n".join(
        [
            heading(title, values),
            "Loss terms (weighted), mean over seeds and over the iterations up to",
            _losses(runs),
            f"mIoU % on val after the last iteration (teacher {100 * values['teacher_miou']:.2f})",
            _miou_table(miou, sorted({run.seed for run in runs})),
            f"mIoU: ours - official {100 * miou['difference']:+.2f} points{_chance(miou, 100, 2)}\n"
            f"last loss: ours - official {loss['difference']:+.4f}{_chance(loss, 1, 4)}",
        ]
    )


def _chance(found: dict[str, Any], scale: int, digits: int) -> str:
    """How large a difference is beside what another seed changes."""
    if found["spread"] is None:
        return ""
    error, spread = (f"{scale * found[key]:.{digits}f}" for key in ("standard_error", "spread"))
    within = "within" if found["within_spread"] else "MORE than"
    return f" (standard error {error}), {within} the {spread} between seeds"


def _losses(runs: Sequence[Run]) -> str:
    ends = runs[0].iterations
    shown = sorted({round(i * (len(ends) - 1) / (SHOWN - 1)) for i in range(SHOWN)})
    rows = []
    for term in runs[0].terms:
        for side in (OURS, OFFICIAL):
            curves = [run.terms[term] for run in runs if run.side == side]
            means = [f"{mean(curve[i] for curve in curves):.4f}" for i in shown]
            rows.append((term if side == OURS else "", side, *means))
    return table(("term", "side", *(str(ends[i]) for i in shown)), rows)


def _miou_table(miou: dict[str, Any], numbers: Sequence[int]) -> str:
    seeds = [f"seed {seed}" for seed in numbers]
    rows = [
        (side, *(f"{100 * score:.2f}" for score in miou[side]), f"{100 * mean(miou[side]):.2f}")
        for side in (OURS, OFFICIAL)
    ]
    return table(("side", *seeds, "mean"), rows)
