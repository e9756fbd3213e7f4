"""The scores of a confusion matrix, for a program (JSON) and for a person (a table)."""

import math
from collections.abc import Sequence
from typing import Any

from afdcd.tasks.metric import ConfusionMatrix


def scores_of(matrix: ConfusionMatrix, classes: Sequence[str]) -> dict[str, Any]:
    """JSON-compatible, shares as 0..1, None where there is none.

    Where the data set has classes that no label holds, `miou_absent_as_0` is the mean over them
    too, as the official code reports COCO-Stuff, and `absent_classes` says how many they are.
    """
    scores: dict[str, Any] = {"miou": _number(matrix.miou)}
    if matrix.absent:
        scores["miou_absent_as_0"] = _number(matrix.miou_absent_as_0)
        scores["absent_classes"] = len(matrix.absent)
    scores["pixel_accuracy"] = _number(matrix.pixel_accuracy)
    scores["mean_accuracy"] = _number(matrix.mean_accuracy)
    iou = enumerate(zip(classes, matrix.iou().tolist(), strict=True))
    scores["iou"] = {name: _number(value) for i, (name, value) in iou if i not in matrix.absent}
    return scores


def table(scores: dict[str, Any], further: dict[str, float | None]) -> str:
    """Per-class IoU and the means of `scores_of`, then `further` lines, in per cent."""
    summary = {"mIoU": scores["miou"]}
    if "miou_absent_as_0" in scores:
        count = len(scores["iou"]) + scores["absent_classes"]
        summary[f"mIoU over {count}, absent as 0"] = scores["miou_absent_as_0"]
    summary["pixel accuracy"] = scores["pixel_accuracy"]
    summary["mean accuracy"] = scores["mean_accuracy"]
    summary |= further
    width = max(len(name) for name in (*scores["iou"], *summary))
    rule = "-" * (width + 8)
    return "\n".join(
        [
            f"{'class':<{width}}   IoU %",
            rule,
            *[_line(name, value, width) for name, value in scores["iou"].items()],
            rule,
            *[_line(name, value, width) for name, value in summary.items()],
        ]
    )


def _line(name: str, value: float | None, width: int) -> str:
    """One score in per cent; a dash where there is none, as for a class that never occurs."""
    return f"{name:<{width}}  {'-' if value is None else f'{100 * value:.2f}':>6}"


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
