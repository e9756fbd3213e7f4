"""What one rank, or each of several, makes of a few iterations with every method."""

from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor

from afdcd.distillers.configs import METHODS, MethodConfig
from afdcd.models.frozen import FrozenTeacher
from afdcd.training.learner import Learner
from afdcd.training.shapes import pair_shapes
from afdcd.training.step import DistillationStep
from tests.examples import trial
from tests.training.networks import CLASSES, CPU, batch, built_teacher, freeze_noise

IMAGES, STEPS = 4, 2
# A method by its name, or another way to play it: its name, and what `ASKED` says of the case.
CASES = (*METHODS, "skd-wgan-gp")
ASKED: dict[str, dict[str, Any]] = {
    "afdcd": {"groups": 8, "patch": 2, "pool": 0},
    "combined": {"terms": {"cwd": {"kd_weight": 0}, "afdcd": {"groups": 8, "patch": 2, "pool": 0}}},
    "skd-wgan-gp": {"adversarial_loss": "wgan-gp", "discriminator_optimizer": "sgd-scheduled"},
    "cirkd": {"pixel_memory": 50, "region_memory": 7, "pixel_contrast": 40, "region_contrast": 20},
}


def settings(method: str) -> MethodConfig:
    return METHODS[method.partition("-")[0]].model_validate(ASKED.get(method, {}))


def learner_of(method: str, rank: int = 0, world: int = 1) -> Learner:
    """In double precision and without the student's own noise, so that ranks can be compared.

    Clipped, because cosines of features as tiny as an untrained network's have huge gradients.
    """
    config, wanted = (
        trial(training__batch=IMAGES, training__lr=0.1, training__clip=1.0),
        settings(method),
    )
    torch.manual_seed(0)
    student = None if wanted.PREPARES else config.pair.student.build(CLASSES)
    model = config.pair.teacher.model
    distiller = wanted.build(pair_shapes(config.pair.student, model, CLASSES))
    step = DistillationStep(student, distiller, config.training.aux_weight).train()
    torch.manual_seed(1)
    teacher = FrozenTeacher(built_teacher(model), needs=wanted.needs.teacher, dtype=torch.float64)
    if student is not None:
        freeze_noise(student)
    shown = teacher if wanted.DISTILS else None
    return Learner(config.training, step.double(), shown, CPU, rank=rank, world=world)


def iterate(learner: Learner, iterations: range) -> None:
    images, labels = batch(IMAGES)
    share = IMAGES // learner.world
    mine = slice(learner.rank * share, (learner.rank + 1) * share)
    for iteration in iterations:
        # Other images each time, of which the first is another rank's.
        shown = images.roll(iteration, 0).double()[mine]
        learner.iterate(iteration, shown, labels.roll(iteration, 0)[mine])


def found(learner: Learner) -> dict[str, Tensor]:
    """Terms of each iteration, parameters, buffers and the optimizers' state."""
    terms = {
        f"{iteration}.{name}": torch.tensor(value, dtype=torch.float64)
        for iteration, of_step in learner.drain()
        for name, value in of_step.items()
    }
    state = {f"step.{k}": v for k, v in learner.step.state_dict().items()} | learner.slots()
    # Running statistics of a frozen batch norm do not move; those of the discriminator do.
    return terms | {name: value.detach().clone().contiguous() for name, value in state.items()}


def one_of(rank: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder}/store{world}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world)
    for method in CASES:
        learner = learner_of(method, rank, world)
        iterate(learner, range(STEPS))
        save_file(found(learner), f"{folder}/{method}.{world}.{rank}.safetensors")
    dist.destroy_process_group()
