"""One training on several processes, as torchrun starts them: each takes its share of every batch.

Gradients, the loss and the wish to stop are summed in one message a step. Networks are called by several of their
methods, which :class:`torch.nn.parallel.DistributedDataParallel` does not watch; the sum is all it would add. Every
process draws its own noise; without noise the losses are those of one process with the same batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, distributed, nn


class Team:
    """The processes of one training.

    :param rank: number of this one, from 0.
    :param size: how many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size

    @property
    def leads(self) -> bool:
        """Whether this is the process that validates and writes."""
        return self.rank == 0

    def share(self, indices: np.ndarray) -> np.ndarray:
        """Return the crystals of a batch that this process takes; there may be none."""
        return indices[self.rank :: self.size]

    def sum_gradients(self, module: nn.Module, loss: Tensor | None, weight: float, stop: bool) -> tuple[Tensor, Tensor]:
        """Sum gradients over the processes, and return the loss of the batch and how many wish to stop.

        :param loss: mean over the share of this process, with its gradient taken; None: it had no crystal.
        :param weight: the share of the batch.
        """
        parameters = [p for p in module.parameters() if p.requires_grad]
        device = parameters[0].device
        own = torch.zeros((), device=device) if loss is None else loss.detach() * weight
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad * weight for p in parameters]
        flags = torch.stack([own.float(), torch.tensor(float(stop), device=device)])
        message = torch.cat([flags, *(gradient.flatten() for gradient in gradients)])
        distributed.all_reduce(message)
        for parameter, piece in zip(parameters, message[2:].split([p.numel() for p in parameters]), strict=True):
            parameter.grad = piece.view_as(parameter)
        return message[0], message[1]

    def agreed(self, value: float, device: torch.device) -> float:
        """Return the value that the leading process has."""
        if self.size == 1:
            return value
        message = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(message, 0)
        return float(message)


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Join the processes that torchrun started; a process of its own is a team of one."""
    size = int(os.environ["WORLD_SIZE"]) if {"WORLD_SIZE", "RANK", "MASTER_ADDR"} <= set(os.environ) else 1
    if size == 1:
        yield Team()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
