"""Watches the loss of every step without waiting for the device at every step."""

from __future__ import annotations

import torch
from torch import Tensor

CHECK_EVERY = 25  # steps between two looks at a device of its own; each look waits for it


class LossGuard:
    """Keeps the weights as they were before the first loss that is not finite.

    On the CPU every loss is looked at before its step. On a device of its own that would leave the device idle at
    every step: there a flag beside the loss lets the fused optimiser skip the steps from the first bad loss on (the
    flag with which :class:`torch.amp.GradScaler` skips steps), and is read now and then.

    :param every: steps between two looks; None: 1 on the CPU, :data:`CHECK_EVERY` elsewhere.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, device: torch.device, every: int | None = None) -> None:
        self.optimiser = optimiser
        self.every = every or (1 if device.type == "cpu" else CHECK_EVERY)
        self.first_bad = torch.full((), -1, dtype=torch.long, device=device)
        self.bad: dict[str, Tensor] = {}  # the loss and its parts at that step

    def watch(self, loss: Tensor, logged: dict[str, Tensor], step: int) -> None:
        """Take note of the loss of a step, before its gradient."""
        parts = {"loss": loss.detach(), **{name: value.detach() for name, value in logged.items()}}
        if self.every == 1:
            if not torch.isfinite(loss):
                self.first_bad, self.bad = torch.tensor(step), parts
            return
        new = (self.first_bad < 0) & ~torch.isfinite(parts["loss"])
        self.first_bad = torch.where(new, step, self.first_bad)
        self.bad = {name: torch.where(new, value, self.bad.get(name, value)) for name, value in parts.items()}
        self.optimiser.found_inf = (self.first_bad >= 0).float()  # type: ignore[attr-defined]

    def is_due(self, step: int) -> bool:
        """Tell whether the flag is to be read at this step."""
        return step % self.every == 0

    def diverged(self) -> tuple[int, float, str] | None:
        """Return step, loss and parts of the first loss that was not finite; None where all were. Waits."""
        step = int(self.first_bad)
        if step < 0:
            return None
        loss, *_ = self.bad.values()
        return step, float(loss), ", ".join(f"{n} {float(v):.3g}" for n, v in self.bad.items() if n != "loss")
