"""Conditional prior of the latent, p(z | allowed elements, target properties), by flow matching.

Sampling a VAE from N(0, 1) itself, as ICSG3D did, lands between the training latents: the
mismatch of prior and aggregate posterior, not the decoder, is what fails there.

It also keeps what the training crystals could have been asked for. Samples of which nothing is asked take their
conditions from there: p(z) = sum of p(z | c) p(c), and training sees far more of p(z | c) than of p(z) in one piece.
"""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ..settings.network_options import PriorOptions
from .layers.flow import ConditionedMLP, guided, integrate

MISSING = 1e4  # in place of a target that is not known: no property is so many standard deviations away
FREE_ELEMENTS = 0.3  # share of crystals without the element condition, in training and where nothing is asked
FREE_TARGETS = 0.3  # share without each target
FEWEST_EXTRA = 0.2  # share of the other elements that samples of which nothing is asked may hold, at least


class PriorConfig(PriorOptions):
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
    examples: Annotated[int, Field(ge=0)] = 0
    """Training crystals whose elements and targets are kept."""
    example_elements: Annotated[int, Field(ge=0)] = 0
    """Most elements of one of them."""


class Prior(ConditionedMLP):
    """Velocity v(z, t, condition) in standardised latent space."""

    latent_mean: Tensor
    latent_std: Tensor
    kept_elements: Tensor
    kept_targets: Tensor

    def __init__(self, config: PriorConfig) -> None:
        latent = len(config.latent_mean)
        super().__init__(latent, len(config.elements) + 1 + 2 * len(config.targets), config.width, config.depth)
        self.config = config
        self.register_buffer("latent_mean", torch.tensor(config.latent_mean), persistent=False)
        self.register_buffer("latent_std", torch.tensor(config.latent_std), persistent=False)
        # Flat, because a matrix would be taken for weights where a file is made smaller.
        kept, saved = config.examples, config.examples > 0
        elements = torch.zeros(kept * config.example_elements, dtype=torch.uint8)
        self.register_buffer("kept_elements", elements, persistent=saved)
        self.register_buffer("kept_targets", torch.zeros(kept * len(config.targets)), persistent=saved)

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

    def keep(self, presence: Tensor, targets: Tensor) -> None:
        """Keep conditions of training crystals.

        :param presence: (N, E) 1 where a crystal holds the element; N and the most elements of a crystal as in the
            configuration.
        :param targets: (N, T) standardised, NaN where not known.
        """
        numbers = torch.tensor(self.config.elements, device=presence.device)
        held = torch.where(presence > 0, numbers, 0).sort(dim=1, descending=True).values
        self.kept_elements.copy_(held[:, : self.config.example_elements].flatten())
        self.kept_targets.copy_(targets.nan_to_num(MISSING).flatten())

    def drawn(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return conditions of ``count`` training crystals drawn at random: (count, E) and (count, T), as in forward.

        Allowed are the elements of the crystal and others, of which at least a fifth, so that the sample need not be
        that crystal's composition. As in training, each condition is left out at times: with a target every sample
        scatters around it, and all of them together scatter more than the training crystals; without, less.
        """
        device = self.latent_mean.device
        numbers = torch.tensor(self.config.elements, device=device)
        row = torch.randint(self.config.examples, (count,), generator=generator, device=device)
        held = self.kept_elements.reshape(self.config.examples, self.config.example_elements)[row].long()
        present = (held[:, :, None] == numbers).any(dim=1)
        share = torch.rand((count, 1), generator=generator, device=device) ** 2
        share = FEWEST_EXTRA + (1 - FEWEST_EXTRA) * share
        extra = torch.rand(present.shape, generator=generator, device=device) < share
        targets = self.kept_targets.float().reshape(self.config.examples, len(self.config.targets))[row]
        allowed = (present | extra) & (torch.rand((count, 1), generator=generator, device=device) >= FREE_ELEMENTS)
        free = torch.rand(targets.shape, generator=generator, device=device) < FREE_TARGETS
        return allowed.float(), torch.where(free | (targets >= MISSING), torch.nan, targets)

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
