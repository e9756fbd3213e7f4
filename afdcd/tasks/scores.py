"""The scores of a confusion matrix, for a program (JSON) and for a person (a table)."""

import math
from collections.abc import Sequence
from typing import Any

from afdcd import text
from afdcd.models.weights import NetworkCard
from afdcd.tasks.metric import ConfusionMatrix
from afdcd.tasks.score import Score


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


def score_of(matrix: ConfusionMatrix, classes: Sequence[str]) -> Score:
    """The score that trials are compared by, with pixel accuracy and every class's IoU."""
    iou = zip(classes, matrix.iou().tolist(), strict=True)
    parts = {"pixel_accuracy": matrix.pixel_accuracy, **{f"iou/{name}": v for name, v in iou}}
    return Score(name="miou", value=matrix.miou, parts=parts)


def recorded(card: NetworkCard) -> Score | None:
    """The score that a network's file says of itself, on `card.split`."""
    return None if card.miou is None else Score(name="miou", value=card.miou)


def table(scores: dict[str, Any], further: dict[str, float | None]) -> str:
    """Per-class IoU and the means of `scores_of`, then `further` lines, in per cent."""
    summary = {"mIoU": scores["miou"]}
    if "miou_absent_as_0" in scores:
        count = len(scores["iou"]) + scores["absent_classes"]
        summary[f"mIoU over {count}, absent as 0"] = scores["miou_absent_as_0"]
    summary["pixel accuracy"] = scores["pixel_accuracy"]
    summary["mean accuracy"] = scores["mean_accuracy"]
    summary |= further
    rows = [(name, _percent(value)) for name, value in (*scores["iou"].items(), *summary.items())]
    return text.table(("class", "IoU %"), rows, numbers=1, rules=(0, len(scores["iou"])))


def _percent(value: float | None) -> str:
    """A dash where there is no score, as for a class that never occurs."""
    return "-" if value is None else f"{100 * value:.2f}"


def _number(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else value
