"""Flow matching: velocity fields that carry N(0, 1) to data along straight lines (Lipman et al., arXiv:2210.02747)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from .periodic import Linear

TIME_FEATURES = 32
Told = TypeVar("Told")
LADDER = ((0.2, 8), (0.3, 8), (0.4, 6), (0.5, 6), (0.6, 5), (0.7, 4), (0.8, 3))  # time of a restart, steps from there


def time_features(t: Tensor) -> Tensor:
    """Return sines and cosines of times from 0 to 1, (B,) to (B, 32)."""
    angles = t[:, None] * torch.exp(torch.linspace(0, math.log(100.0), TIME_FEATURES // 2, device=t.device))
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class ConditionedMLP(nn.Module):
    """Residual layers on a vector, each scaled and shifted by what depends on time and condition."""

    def __init__(self, size: int, condition: int, width: int, depth: int) -> None:
        super().__init__()
        self.enter = Linear(size, width)
        self.condition = nn.Sequential(Linear(TIME_FEATURES + condition, width), nn.SiLU(), Linear(width, width))
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm": nn.LayerNorm(width, elementwise_affine=False),
                    "modulate": Linear(width, 2 * width),
                    "inner": Linear(width, 2 * width),
                    "outer": Linear(2 * width, width),
                }
            )
            for _ in range(depth)
        )
        self.leave = Linear(width, size)

    def velocity(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        """Return (B, size); time (B,) and condition (B, C) may have one row for all of the batch."""
        context = nn.functional.silu(self.condition(torch.cat([time_features(t), condition], dim=1)))
        h = self.enter(x)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            scale, shift = layer["modulate"](context).chunk(2, dim=1)
            inner = layer["inner"](layer["norm"](h) * (1 + scale) + shift)
            h = h + layer["outer"](nn.functional.silu(inner))
        velocity: Tensor = self.leave(h)
        return velocity


def integrate(velocity: Callable[[Tensor, float], Tensor], noise: Tensor, steps: int, start: float = 0.0) -> Tensor:
    """Carry a state at time ``start``, at 0 noise, to data at time 1 by Heun's method.

    :param velocity: of a state at a time, in the shape of the state.
    """
    z, h = noise, (1.0 - start) / steps
    for i in range(steps):
        time = start + i * h
        first = velocity(z, time)
        second = velocity(z + h * first, min(time + h, 1.0))
        z = z + 0.5 * h * (first + second)
    return z


def restarted(
    velocity: Callable[[Tensor, float], Tensor], data: Tensor, fresh: Callable[[int], Tensor], rounds: int
) -> Tensor:
    """Throw data back to earlier times with fresh noise and carry them forward again, time after time.

    Errors of the velocity add up along the way from noise to data; what is added here forgets part of them (restarts,
    Xu et al., arXiv:2306.14878). From early times, where the crystal as a whole is decided, to late ones, where sites
    are.

    :param fresh: noise in the shape of the data, for the number of a restart.
    :param rounds: restarts at each time of :data:`LADDER`.
    """
    z, number = data, 0
    for time, steps in LADDER:
        for _ in range(rounds):
            z = integrate(velocity, time * z + (1 - time) * fresh(number), steps, time)
            number += 1
    return z


def guided(
    velocity: Callable[[Tensor, float, Told], Tensor], condition: Told, free: Told, guidance: float
) -> Callable[[Tensor, float], Tensor]:
    """Return the velocity under a condition, extrapolated away from that without it (arXiv:2207.12598).

    :param condition: what is asked for; ``free``: the same with nothing asked for.
    :param guidance: 1 follows the conditional field.
    """

    def combined(z: Tensor, time: float) -> Tensor:
        wanted = velocity(z, time, condition)
        if guidance == 1.0:
            return wanted
        unconditional = velocity(z, time, free)
        return unconditional + guidance * (wanted - unconditional)

    return combined
