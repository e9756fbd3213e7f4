"""The optimizers of both players: the student with the method's adapters, and a method's adversary."""

import torch
from torch import Tensor

from afdcd.training.optim import (
    build_optimizer,
    learning_rate,
    set_learning_rate,
    started,
    state_of,
)
from afdcd.training.recipe import TrainingConfig
from afdcd.training.step import DistillationStep


class Players:
    """What moves the parameters of a step.

    Attributes:
        student: of all that learns by the student's terms.
        adversary: of the second player, or None.
    """

    def __init__(self, config: TrainingConfig, step: DistillationStep) -> None:
        self._config = config
        rules = {}
        if step.student is not None:
            rules = step.student.parameter_groups(
                head_lr_scale=config.head_lr_scale, decay_norms=config.decay_norms
            )
        self.student = build_optimizer(config, step.learnt(), rules)
        adversary = step.distiller.adversary
        self.adversary = None if adversary is None else started(adversary.optimizer())
        self._scheduled = adversary is not None and adversary.scheduled

    def stop_by(self, flag: Tensor) -> None:
        """Change nothing in a step while `flag`, on the device, is 1."""
        for optimizer in self._both:
            optimizer.found_inf = flag  # type: ignore[attr-defined]

    def begin(self, iteration: int, *, keep: bool) -> None:
        """Set the learning rates, and all gradients to zero.

        Args:
            keep: the tensors of the student's gradients, which then hold zeros.
        """
        self._set_rates(learning_rate(self._config, iteration))
        self.student.zero_grad(set_to_none=not keep)
        if self.adversary is not None:
            self.adversary.zero_grad()

    def _set_rates(self, rate: float) -> None:
        set_learning_rate(self.student, rate)
        if self.adversary is not None and self._scheduled:
            for group in self.adversary.param_groups:
                group["lr"] = rate / self._config.lr * self.adversary.defaults["lr"]

    def step(self) -> None:
        for optimizer in self._both:
            optimizer.step()

    def slots(self) -> dict[str, Tensor]:
        """What the optimizers keep, by name."""
        found = state_of(self.student)
        return found if self.adversary is None else found | state_of(self.adversary, "adversary.")

    @property
    def _both(self) -> list[torch.optim.Optimizer]:
        return [self.student, *([] if self.adversary is None else [self.adversary])]
