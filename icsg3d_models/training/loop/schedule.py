"""How many steps a training takes, when it is validated, and the learning rate of each step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...settings import Optimiser

WARM_UP_STEPS = 50
FINAL_RATE = 0.02  # of the peak learning rate, at the end of the cosine


@dataclass(frozen=True)
class Schedule:
    """Counts of one training.

    :ivar steps_per_epoch: batches of one pass over the training part.
    :ivar total: steps in all; the last epoch may be cut short.
    :ivar validate_every: epochs between two validations.
    """

    steps_per_epoch: int
    total: int
    validate_every: int
    constant: bool = False

    @property
    def epochs(self) -> int:
        """Passes over the training part, a last one that is cut short included."""
        return -(-self.total // self.steps_per_epoch)

    def ends_epoch(self, step: int) -> bool:
        """Tell whether an epoch has ended when so many steps are done."""
        return step % self.steps_per_epoch == 0 or step >= self.total

    def rate(self, step: int, peak: float) -> float:
        """Return the learning rate of a step, counted from 0: warm-up, then a cosine; or always the same."""
        if self.constant:
            return peak
        cosine = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * step / self.total))
        return peak * min(1.0, (step + 1) / WARM_UP_STEPS) * cosine


def plan_steps(options: Optimiser, steps_per_epoch: int) -> Schedule:
    """Return the schedule of a training: ``max_epochs``, but within ``min_steps`` and ``max_steps``.

    Few data make short epochs: what a network learns goes by steps. Where epochs are added to reach ``min_steps``,
    validations are spread out, so that there are as many as without.
    """
    asked = options.max_epochs * steps_per_epoch
    total = options.steps(steps_per_epoch)
    every = options.validate_every * max(1, total // asked)
    return Schedule(steps_per_epoch, total, every, options.schedule == "constant")


def make_optimiser(module: nn.Module, options: Optimiser) -> torch.optim.Optimizer:
    """Return what moves the weights of a network."""
    common: dict[str, Any] = {"lr": options.learning_rate, "weight_decay": options.weight_decay, "fused": True}
    if options.algorithm == "sgd":
        return torch.optim.SGD(module.parameters(), momentum=options.momentum, **common)
    return torch.optim.AdamW(module.parameters(), betas=(options.momentum, options.beta2), **common)
