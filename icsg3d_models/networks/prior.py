"""Conditional prior of the latent, p(z | allowed elements, target properties), by flow matching.

A velocity field carries N(0, 1) to the latents of the training crystals along straight lines (Lipman et al.,
arXiv:2210.02747). Sampling a VAE from N(0, 1) itself, as ICSG3D did, lands between the training latents: the
mismatch of prior and aggregate posterior, not the decoder, is what fails there.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ..settings import Strict
from .layers import Linear


class PriorConfig(Strict):
    """Configuration of the prior."""

    elements: list[int]
    """Atomic numbers of the element condition, in order."""
    latent_mean: list[float]
    """(Z,) mean of the training latents."""
    latent_std: list[float]
    """(Z,) standard deviation of the training latents."""
    targets: list[str] = Field(default_factory=list)
    """Properties it can be conditioned on."""
    target_mean: list[float] = Field(default_factory=list)
    target_std: list[float] = Field(default_factory=list)
    vae_sha256: str = ""
    """The VAE whose latents these are; sampling refuses another one."""
    width: Annotated[int, Field(ge=16)] = 384
    depth: Annotated[int, Field(ge=1)] = 3
    """Residual layers."""


class Prior(nn.Module):
    """Velocity v(z, t, condition) in standardised latent space."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        latent, width = len(config.latent_mean), config.width
        self.register_buffer("latent_mean", torch.tensor(config.latent_mean), persistent=False)
        self.register_buffer("latent_std", torch.tensor(config.latent_std), persistent=False)
        self.enter = Linear(latent, width)
        self.condition = nn.Sequential(
            Linear(32 + len(config.elements) + 1 + 2 * len(config.targets), width),
            nn.SiLU(),
            Linear(width, width),
        )
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm": nn.LayerNorm(width, elementwise_affine=False),
                    "modulate": Linear(width, 2 * width),
                    "inner": Linear(width, 2 * width),
                    "outer": Linear(2 * width, width),
                }
            )
            for _ in range(config.depth)
        )
        self.leave = Linear(width, latent)

    def forward(self, z: Tensor, t: Tensor, allowed: Tensor, targets: Tensor) -> Tensor:
        """Return the velocity, (B, Z).

        :param z: (B, Z) standardised latent at time t.
        :param t: (B,) from 0 (noise) to 1 (latents).
        :param allowed: (B, E) 1 where an element is allowed; a row of zeros means no condition.
        :param targets: (B, T) standardised targets, NaN where there is no condition.

        ``t``, ``allowed`` and ``targets`` may have one row for all of the batch.
        """
        angles = t[:, None] * torch.exp(torch.linspace(0, math.log(100.0), 16, device=z.device))
        restricted = (allowed.sum(dim=1, keepdim=True) > 0).to(z.dtype)
        given = torch.isfinite(targets).to(z.dtype)
        condition = torch.cat(
            [angles.sin(), angles.cos(), allowed, restricted, torch.nan_to_num(targets), given], dim=1
        )
        context = nn.functional.silu(self.condition(condition))
        h = self.enter(z)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)
            scale, shift = layer["modulate"](context).chunk(2, dim=1)
            inner = layer["inner"](layer["norm"](h) * (1 + scale) + shift)
            h = h + layer["outer"](nn.functional.silu(inner))
        velocity: Tensor = self.leave(h)
        return velocity

    @torch.no_grad()
    def sample(self, noise: Tensor, allowed: Tensor, targets: Tensor, guidance: float = 1.0, steps: int = 10) -> Tensor:
        """Carry noise to latents by Heun's method.

        :param noise: (B, Z) drawn from N(0, 1).
        :param guidance: 1 follows the conditional field, more extrapolates away from the unconditional one
            (Ho & Salimans, arXiv:2207.12598).
        :return: (B, Z) latents of the VAE.
        """
        condition = torch.cat([allowed, targets], dim=1)
        if torch.equal(condition.nan_to_num(math.inf), condition[:1].nan_to_num(math.inf).expand_as(condition)):
            # All ask for the same: the condition, a third of the work, is worked out once instead of B times.
            allowed, targets = allowed[:1], targets[:1]
        free, unknown = torch.zeros_like(allowed), torch.full_like(targets, math.nan)

        def velocity(z: Tensor, time: float) -> Tensor:
            t = torch.full((len(allowed),), time, device=z.device)
            conditional = self(z, t, allowed, targets)
            if guidance == 1.0:
                return conditional
            unconditional = self(z, t, free, unknown)
            return unconditional + guidance * (conditional - unconditional)

        z, h = noise, 1.0 / steps
        for i in range(steps):
            first = velocity(z, i * h)
            second = velocity(z + h * first, (i + 1) * h)
            z = z + 0.5 * h * (first + second)
        return z * self.latent_std + self.latent_mean
