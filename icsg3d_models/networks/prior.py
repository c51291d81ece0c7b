"""Conditional prior of the latent, p(z | allowed elements, target properties), by flow matching.

Sampling a VAE from N(0, 1) itself, as ICSG3D did, lands between the training latents: the
mismatch of prior and aggregate posterior, not the decoder, is what fails there.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ..settings import Strict
from .flow import ConditionedMLP, guided, integrate


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
    valid_compositions: bool = False
    """Trained only on crystals whose composition passes the test of the screening: neutral, with electronegativities
    in order."""
    width: Annotated[int, Field(ge=16)] = 384
    depth: Annotated[int, Field(ge=1)] = 3
    """Residual layers."""


class Prior(ConditionedMLP):
    """Velocity v(z, t, condition) in standardised latent space."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: PriorConfig) -> None:
        latent = len(config.latent_mean)
        super().__init__(latent, len(config.elements) + 1 + 2 * len(config.targets), config.width, config.depth)
        self.config = config
        self.register_buffer("latent_mean", torch.tensor(config.latent_mean), persistent=False)
        self.register_buffer("latent_std", torch.tensor(config.latent_std), persistent=False)

    def forward(self, z: Tensor, t: Tensor, allowed: Tensor, targets: Tensor) -> Tensor:
        """Return the velocity, (B, Z).

        :param z: (B, Z) standardised latent at time t.
        :param t: (B,) from 0 (noise) to 1 (latents).
        :param allowed: (B, E) 1 where an element is allowed; a row of zeros means no condition.
        :param targets: (B, T) standardised targets, NaN where there is no condition.

        ``t``, ``allowed`` and ``targets`` may have one row for all of the batch.
        """
        restricted = (allowed.sum(dim=1, keepdim=True) > 0).to(z.dtype)
        given = torch.isfinite(targets).to(z.dtype)
        return self.velocity(z, t, torch.cat([allowed, restricted, torch.nan_to_num(targets), given], dim=1))

    @torch.no_grad()
    def sample(self, noise: Tensor, allowed: Tensor, targets: Tensor, guidance: float = 1.0, steps: int = 10) -> Tensor:
        """Carry noise to latents.

        :param noise: (B, Z) drawn from N(0, 1).
        :param guidance: 1 follows the conditional field, more extrapolates away from the unconditional one.
        :return: (B, Z) latents of the VAE.
        """
        condition, elements = torch.cat([allowed, targets], dim=1), allowed.shape[1]
        if torch.equal(condition.nan_to_num(math.inf), condition[:1].nan_to_num(math.inf).expand_as(condition)):
            # All ask for the same: the condition, a third of the work, is worked out once instead of B times.
            condition = condition[:1]
        free = torch.zeros_like(condition)
        free[:, elements:] = math.nan

        def velocity(z: Tensor, time: float, wanted: Tensor) -> Tensor:
            t = torch.full((len(wanted),), time, device=z.device)
            return self(z, t, wanted[:, :elements], wanted[:, elements:])

        return integrate(guided(velocity, condition, free, guidance), noise, steps) * self.latent_std + self.latent_mean
