"""A network that will never be trained again, made as cheap to run as it gets."""

from collections.abc import Callable, Collection
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from afdcd.models.fold import fold_batch_norm
from afdcd.models.fuse import fuse_relu
from afdcd.models.outputs import Output
from afdcd.models.tracing import trace
from afdcd.models.zoo import SegmentationNetwork, stages_by_name


class FrozenTeacher(nn.Module):
    """What a teacher says, without gradients and batch normalisations.

    A copy: `network` may go. Weights, images and everything returned are in `dtype`; autocast
    around a call changes nothing. Keep it out of what is wrapped, optimised or saved.

    Args:
        needs: the maps that are read, as `network.taps` names them; None: all but "aux". Without
            "logits" and "head" the encoder runs alone; logits that nobody needs are an empty
            [b, 0, h, w] tensor.
        channels_last: the memory format of weights and images, hence of the features.
        fused_relu: on CUDA, convolution, addition and ReLU as one cuDNN kernel: faster than what
            torch.compile makes of the network (docs/performance.md), and ready at once.
        before: what images go through first, where this network wants them normalised otherwise.
    """

    def __init__(
        self,
        network: SegmentationNetwork,
        *,
        needs: Collection[str] | None = None,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
        fused_relu: bool = True,
        before: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.before = before
        self.dtype = dtype
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.encoder = _frozen(network.encoder, fused_relu)
        wanted = network.taps.keys() - {"aux"} if needs is None else set(needs)
        self.needs = frozenset(wanted)
        self.is_pyramid = network.config.is_pyramid
        self.align_corners = network.config.align_corners
        self.head = _frozen(network.head, fused_relu) if wanted & {"head", "logits"} else None
        self.aux = None
        if "aux" in wanted:
            if network.aux is None:
                raise ValueError("this teacher has no auxiliary head")
            self.aux = _frozen(network.aux, fused_relu)
        self.to(dtype=dtype, memory_format=self.layout)  # type: ignore[call-overload]
        self.eval().requires_grad_(False)

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Output:
        # Not inference_mode: its tensors cannot be saved for the backward pass of a loss.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            if self.before is not None:
                images = self.before(images)
            stages = self.encoder(images.to(self.dtype, memory_format=self.layout))
            aux = None if self.aux is None else self.aux(stages[-2])
            features = stages_by_name(stages)
            logits = stages[0][:, :0]
            if self.head is not None:
                feature, logits = self.head(stages if self.is_pyramid else stages[-1])
                features["head"] = feature
            # What nobody reads is given up at once.
            kept = {name: feature for name, feature in features.items() if name in self.needs}
            return Output(logits, aux, kept, self.align_corners)

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode, whatever `mode`."""
        return super().train(False)


def _frozen(module: nn.Module, fuses: bool) -> nn.Module:
    folded = fold_batch_norm(module)
    traced = trace(folded) if fuses else None
    return folded if traced is None else fuse_relu(traced[0])
