"""Conditional prior of the latent, p(z | conditions), by flow matching.

Sampling a VAE from N(0, 1) itself, as ICSG3D did, lands between the training latents: the
mismatch of prior and aggregate posterior, not the decoder, is what fails there.

It also keeps what the training crystals could have been asked for. Samples of which nothing is asked take their
conditions from there: p(z) = sum of p(z | c) p(c), and training sees far more of p(z | c) than of p(z) in one piece.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ..conditions import completed
from ..conditions.target import target_name
from ..settings.network_options import PriorOptions
from .generator import DrawError, Drawing, LatentPrior, LatentPriorConfig, Latents
from .layers.flow import ConditionedMLP, guided, integrate
from .layers.noise import Rows

MISSING = 1e4  # in place of a target that is not known: no property is so many standard deviations away
FREE = 0.3  # share of crystals without a condition, in training and where nothing is asked
FEWEST_EXTRA = 0.2  # share of the other elements that samples of which nothing is asked may hold, at least
NOISE, EXAMPLES = 1, 2  # streams of random numbers
AT_ONCE = 4  # batches of fields whose latents are drawn at once


class PriorConfig(PriorOptions, LatentPriorConfig):
    """Configuration of the prior."""

    examples: Annotated[int, Field(ge=0)] = 0
    """Training crystals whose elements and targets are kept."""
    example_elements: Annotated[int, Field(ge=0)] = 0
    """Most elements of one of them."""


class Prior(LatentPrior):
    """Velocity v(z, t, conditions) in standardised latent space."""

    usual: ClassVar[tuple[str, ...]] = ("elements",)
    config: PriorConfig
    latent_mean: Tensor
    latent_std: Tensor
    kept_elements: Tensor
    kept_targets: Tensor

    def __init__(self, config: PriorConfig) -> None:
        super().__init__(config)
        self.config = config
        self.flow = ConditionedMLP(len(config.latent_mean), self.conditions.size, config.width, config.depth)
        self.register_buffer("latent_mean", torch.tensor(config.latent_mean), persistent=False)
        self.register_buffer("latent_std", torch.tensor(config.latent_std), persistent=False)
        # Flat, because a matrix would be taken for weights where a file is made smaller.
        kept, saved = config.examples, config.examples > 0
        elements = torch.zeros(kept * config.example_elements, dtype=torch.uint8)
        self.register_buffer("kept_elements", elements, persistent=saved)
        self.register_buffer("kept_targets", torch.zeros(kept * len(config.targets)), persistent=saved)

    def forward(self, z: Tensor, t: Tensor, conditions: Tensor) -> Tensor:
        """Return the velocity, (B, Z).

        :param z: (B, Z) standardised latent at time t.
        :param t: (B,) from 0 (noise) to 1 (latents).
        :param conditions: (B, C), see :class:`icsg3d_models.conditions.space.ConditionSpace`.

        ``t`` and ``conditions`` may have one row for all of the batch.
        """
        return self.flow.velocity(z, t, conditions)

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

    def examples(self, count: int, rows: Rows) -> Tensor:
        """Return conditions of training crystals drawn at random, (count, C), as in forward.

        Allowed are the elements of the crystal and others, of which at least a fifth, so that the sample need not be
        that crystal's composition. As in training, each condition is left out at times: with a target every sample
        scatters around it, and all of them together scatter more than the training crystals; without, less.
        """
        config, device = self.config, self.latent_mean.device
        numbers = torch.tensor(config.elements, device=device)
        uniform = rows.uniform(count, 3 + len(config.elements) + len(config.targets)).to(device)
        which, share, told, of_elements, of_targets = uniform.split(
            [1, 1, 1, len(config.elements), len(config.targets)], dim=1
        )
        row = (which[:, 0] * config.examples).long()
        held = self.kept_elements.reshape(config.examples, config.example_elements)[row].long()
        present = (held[:, :, None] == numbers).any(dim=1)
        allowed = present | (of_elements < FEWEST_EXTRA + (1 - FEWEST_EXTRA) * share**2)
        found = torch.zeros(count, self.conditions.size, device=device)
        if (place := self.conditions.blocks.get("elements")) is not None:
            found[:, place] = torch.cat([allowed, torch.ones_like(told, dtype=torch.bool)], dim=1) * (told >= FREE)
        targets = self.kept_targets.float().reshape(config.examples, len(config.targets))[row]
        known = ((of_targets >= FREE) & (targets < MISSING)).float()
        for index, name in enumerate(config.targets):
            value = torch.stack([targets[:, index], torch.ones_like(targets[:, index])], dim=1)
            found[:, self.conditions.blocks[target_name(name)]] = value * known[:, index, None]
        return found

    def draw(self, asked: Mapping[str, Any], n: int, seed: int, how: Drawing | None = None) -> Iterator[Latents]:
        """Yield n latents; where nothing is asked, each under the conditions of a training crystal.

        :raises DrawError: restarts are asked for.
        """
        how = how or Drawing()
        if how.restarts:
            raise DrawError("`restarts`: the prior of a VAE with one latent a crystal takes none; leave it out")
        device, size = self.latent_mean.device, AT_ONCE * how.batch_size
        noise, examples = Rows(seed, NOISE), Rows(seed, EXAMPLES)
        shared = torch.from_numpy(self.conditions.vector(completed(asked))).to(device)[None]
        for start in range(0, n, size):
            count = min(size, n - start)
            conditions = self.examples(count, examples) if self.config.examples and not asked else shared
            normal = noise.normal(count, len(self.latent_mean)).to(device)
            latent = self.sample(normal, conditions, how.guidance)
            yield from Latents(np.arange(start, start + count), latent, None).split(how.batch_size)

    @torch.no_grad()
    def sample(self, noise: Tensor, conditions: Tensor, guidance: float = 1.0, steps: int = 10) -> Tensor:
        """Carry noise to latents.

        :param noise: (B, Z) drawn from N(0, 1).
        :param conditions: (B, C), or (1, C) for all: then they, a third of the work, are worked out once.
        :param guidance: 1 follows the conditional field, more extrapolates away from the unconditional one.
        :return: (B, Z) latents of the VAE.
        """

        def velocity(z: Tensor, time: float, wanted: Tensor) -> Tensor:
            return self.flow.velocity(z, torch.full((len(wanted),), time, device=z.device), wanted)

        towards = guided(velocity, conditions, torch.zeros_like(conditions), guidance)
        return integrate(towards, noise, steps) * self.latent_std + self.latent_mean
