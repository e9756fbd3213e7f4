"""The head of SegFormer, which reads every stage of a strided encoder.

Source: Xie et al. 2021, NeurIPS, arXiv:2105.15203, sec. 3.2; NVlabs/SegFormer@65fa8cf
`mmseg/models/decode_heads/segformer_head.py`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class MLPHead(nn.Module):
    """A linear layer for each stage, all at the first one's size, fused by another, then a classifier."""

    def __init__(self, inputs: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in inputs)
        fuse = nn.Conv2d(len(inputs) * width, width, 1, bias=False)
        self.fuse = nn.Sequential(fuse, nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.dropout = nn.Dropout2d(0.1)
        self.classifier = nn.Conv2d(width, classes, 1)

    def forward(
        self, stages: Sequence[Float[Tensor, "b _ _ _"]]
    ) -> tuple[Float[Tensor, "b d h w"], Float[Tensor, "b k h w"]]:
        size = stages[0].shape[2:]
        seen = [lateral(stage) for lateral, stage in zip(self.lateral, stages, strict=True)]
        wide = [seen[0], *(_resized(x, size) for x in seen[1:])]
        feature = self.dropout(self.fuse(torch.cat(wide[::-1], dim=1)))
        return feature, self.classifier(feature)


def _resized(x: Float[Tensor, "b c _ _"], size: Sequence[int]) -> Float[Tensor, "b c h w"]:
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
