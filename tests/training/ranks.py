"""One whole step on one process or on one of two; imports no more than a step needs."""

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from afdcd.training.step import mask_noise, mean_over_ranks, teacher_outputs, valid_pixels
from tests.training.networks import batch, build_pair, freeze_noise

CPU = torch.device("cpu")
# The published weights make terms of very different size; equal ones leave none to hide behind.
LOUD = {
    "distiller__kd_weight": 1.0,
    "distiller__fd_weight": 1e-2,
    "distiller__contrast_weight": 1.0,
}


def gradients(rank: int, world: int) -> dict[str, Tensor]:
    """Gradients and terms of one whole step in double precision, this rank's share of the batch."""
    pair = build_pair(**LOUD, pair__teacher__model__encoder="timm:mobilenetv3_small_050")
    freeze_noise(pair.step)
    pair.step.double()
    pair.teacher.double()
    wrapped = DistributedDataParallel(pair.step) if world > 1 else pair.step
    images, labels = batch(side=32)
    share = len(images) // world
    images = images[rank * share : (rank + 1) * share].double()
    labels = labels[rank * share : (rank + 1) * share]
    teacher = teacher_outputs(pair.teacher, images)
    shape = teacher.features["encoder"].shape
    uniform = mask_noise((share, *shape[2:]), 0, 5, rank, world, CPU).double()
    terms = wrapped(images, labels, teacher, uniform, valid_pixels(labels))
    torch.stack(list(terms.values())).sum().backward()
    means = {f"term.{name}": torch.tensor(v) for name, v in mean_over_ranks(terms).items()}
    return means | {name: p.grad for name, p in pair.step.named_parameters()}


def one_of_two(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    save_file(gradients(rank, 2), f"{folder}/rank{rank}.safetensors")
    dist.destroy_process_group()
