"""What property networks share: several members, units of the targets, and a calibrated uncertainty.

Shapes: B crystals, T targets, M members.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class PropertyEnsemble(nn.Module):
    """Independent networks for the same targets; their mean is the prediction, their spread the uncertainty.

    A network has ``members``, and a ``forward`` that returns standardised predictions (M, B, T).

    :param targets: number of targets.
    """

    members: nn.ModuleList
    mean: Tensor
    scale: Tensor
    spread: Tensor
    floor: Tensor

    def __init__(self, targets: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(targets))
        self.register_buffer("scale", torch.ones(targets))
        # the uncertainty is sqrt((spread · standard deviation of the members)² + floor²), fitted in validation
        self.register_buffer("spread", torch.ones(targets))
        self.register_buffer("floor", torch.zeros(targets))

    def take_targets(self, rows: list[int]) -> None:
        """Keep some of the targets, in this order; a member has its last layers as ``heads``."""
        with torch.no_grad():
            for member in self.members:
                heads: Any = member.heads
                for head in heads:
                    head.weight, head.bias = nn.Parameter(head.weight[rows]), nn.Parameter(head.bias[rows])
                    head.out_features = len(rows)
        for name in ("mean", "scale", "spread", "floor"):
            setattr(self, name, getattr(self, name)[rows].clone())

    @property
    def expects_errors(self) -> bool:
        """Whether the members say how large their errors are."""
        return False

    @property
    def has_uncertainty(self) -> bool:
        """Whether there is something to make an uncertainty of."""
        return self.expects_errors or len(self.members) > 1

    def with_errors(self, batch: Any) -> tuple[Tensor, Tensor | None]:
        """Return the standardised predictions of every member (M, B, T), and the logarithms of the errors it expects.

        Those are of the same shape, and None where the members expect none.
        """
        return self(batch), None

    def members_statistics(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the members in the units of the targets, (B, T) each.

        The variance is that between the members and, where they expect errors, the mean of those squared.
        """
        values, errors = self.with_errors(batch)
        variance = values.var(dim=0, correction=0)
        if errors is not None:
            variance = variance + (2 * errors).exp().mean(dim=0)
        return values.mean(dim=0) * self.scale + self.mean, variance.sqrt() * self.scale

    def uncertainty(self, spread: Tensor) -> Tensor:
        """Return the typical error (one standard deviation) that goes with a spread of the members."""
        if not self.has_uncertainty:
            return torch.full_like(spread, math.nan)
        return torch.sqrt((self.spread * spread) ** 2 + self.floor**2)

    def predict(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Return prediction and uncertainty in the units of the targets, (B, T) each; NaN where there is none."""
        mean, spread = self.members_statistics(batch)
        return mean, self.uncertainty(spread)
