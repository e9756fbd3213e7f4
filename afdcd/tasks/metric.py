"""Segmentation scores from one confusion matrix over a whole split.

Rows are labels, columns are predictions; pixels labelled IGNORE are counted nowhere.
"""

from collections.abc import Collection

import torch
from jaxtyping import Float, Int, Integer
from torch import Tensor

from afdcd.data.catalog.train_ids import IGNORE


class ConfusionMatrix:
    """Exact int64 pixel counts; `counts[label, predicted]` lives on `device`.

    Matrices of disjoint images add up: sum `counts` over ranks before reading a score.

    Args:
        absent: classes that the data set never labels. Predicting one is wrong wherever it happens,
            but it has no IoU of its own.

    The float32 totals of OSVAI/Af-DCD@5b086a7 are exact up to 2^24 pixels: eight Cityscapes images.
    """

    def __init__(
        self, classes: int, device: torch.device | str = "cpu", absent: Collection[int] = ()
    ) -> None:
        self.absent = sorted(absent)
        self.counts: Int[Tensor, "k k"] = torch.zeros(
            classes, classes, dtype=torch.int64, device=device
        )

    def update(self, predicted: Int[Tensor, "*pixels"], labels: Integer[Tensor, "*pixels"]) -> None:
        """Add pixels of any shape; `predicted` in 0..k-1, `labels` in 0..k-1 or IGNORE.

        Raises:
            ValueError: the shapes differ, or a label is neither a class nor IGNORE.
        """
        if predicted.shape != labels.shape:
            raise ValueError(
                f"predictions are {tuple(predicted.shape)}, labels {tuple(labels.shape)}; "
                "upsample the logits to the label size first"
            )
        classes = len(self.counts)
        labels = labels.to(torch.int64)
        # Ignored pixels get a bin of their own: dropping them by index would wait for the device.
        cells = torch.where(labels == IGNORE, classes**2, labels * classes + predicted)
        binned = torch.bincount(cells.flatten(), minlength=classes**2 + 1)
        if len(binned) > classes**2 + 1:
            wrong = labels[(labels >= classes) & (labels != IGNORE)].max()
            raise ValueError(f"label {wrong} is no class: known are 0..{classes - 1} and {IGNORE}")
        self.counts += binned[:-1].view(classes, classes)

    def iou(self) -> Float[Tensor, " k"]:
        """Intersection over union per class, float64 on the CPU.

        NaN for a class that occurs neither in the labels nor in the predictions, and for `absent`
        ones; any other class that is predicted somewhere and labelled nowhere scores 0.
        """
        counts = self.counts.cpu().double()
        hits = counts.diagonal()
        iou = hits / (counts.sum(0) + counts.sum(1) - hits)
        iou[self.absent] = torch.nan
        return iou

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in labels or predictions; NaN if none does.

        The rule of mcordts/cityscapesScripts@02a0f28 `evalPixelLevelSemanticLabeling.py`.
        """
        return float(self.iou().nanmean())

    @property
    def miou_absent_as_0(self) -> float:
        """Mean IoU over all k classes, 0 for each that has none; NaN if nothing was counted.

        The rule of OSVAI/Af-DCD@5b086a7 `utils/score.py`. It lowers its COCO-Stuff numbers, where
        11 of 182 classes never occur, by a factor of up to 171/182.
        """
        iou = self.iou()
        return float(iou.nansum() / len(iou)) if self.counts.any() else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of the counted pixels that are right; NaN if there are none."""
        counts = self.counts.cpu().double()
        return float(counts.diagonal().sum() / counts.sum())

    @property
    def mean_accuracy(self) -> float:
        """Mean over the labelled classes of the share of their pixels that are right."""
        counts = self.counts.cpu().double()
        return float((counts.diagonal() / counts.sum(1)).nanmean())
