"""Variational autoencoder of crystals as fields (Kingma & Welling, arXiv:1312.6114).

Fields in, fields and lattice out. A bottleneck of 2³ cells is flattened to the latent, and a linear path around
the convolutions, from a coarse view of the field to the latent and from the latent to the coarse decoder,
lets the composition through from the first step on: without it training takes ten times as long. The condition
(target property, allowed elements) enters through the latent prior p(z | condition), see networks/prior.py:
as in Sohn et al. (NeurIPS 2015) the prior, not the decoder, is conditional.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..crystals.lattice import lattice_to_vector, vector_to_lattice
from ..fields.grids import grid_sizes
from ..settings.network_options import VAEOptions, Width
from .generator import Autoencoder, AutoencoderConfig, Decoded, Drawing, Latents
from .layers.noise import Rows
from .layers.periodic import FoldingConv, ResidualBlock, depth_to_space, space_to_depth

NOISE = 1  # stream of random numbers


class VAEConfig(VAEOptions, AutoencoderConfig):
    """Configuration of the VAE."""

    lattice_mean: list[float]
    """(6,) mean of the lattice vector (see lattice.py) of the training crystals."""
    lattice_std: list[float]
    """(6,) its standard deviation."""
    grid: Width = 16


class VAE(Autoencoder):
    """Encoder and decoder; n is ``config.grid``."""

    encoder_parts = ("enter", "encode_fine", "encode_down", "encode_coarse", "to_latent", "view_to_latent")
    config: VAEConfig
    lattice_mean: Tensor
    lattice_std: Tensor

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.config = config
        width, latent, coarse = config.width, config.latent, config.grid // 8
        folded = 64 + 8 * config.species_channels  # channels of one cell at a quarter of the resolution
        cells = (2 * coarse) ** 3
        self.enter = nn.Conv3d(folded, width, 1)
        self.encode_fine = ResidualBlock(width)
        self.encode_down = FoldingConv(width, 2 * width)
        self.encode_coarse = ResidualBlock(2 * width)
        flat = 2 * width * coarse**3
        self.to_latent = nn.Linear(flat + 6, 2 * latent)
        # The coarse view keeps every occupancy voxel, but averages the smooth species channels.
        self.view_to_latent = nn.Linear((64 + config.species_channels) * cells, latent, bias=False)
        self.from_latent = nn.Linear(latent, flat)
        self.decode_coarse = ResidualBlock(2 * width)
        self.decode_up = nn.Conv3d(2 * width, 8 * width, 1)
        self.view_from_latent = nn.Linear(latent, width * cells)
        self.decode_fine = ResidualBlock(width)
        self.occupancy_head = nn.Conv3d(width, 64, 1)
        self.species_head = nn.Conv3d(width, 8 * config.species_channels, 1)
        self.lattice_head = nn.Sequential(nn.Linear(latent, 128), nn.SiLU(), nn.Linear(128, 6))
        self.lattice_skip = nn.Linear(latent, 6)
        self.register_buffer("lattice_mean", torch.tensor(config.lattice_mean), persistent=False)
        self.register_buffer("lattice_std", torch.tensor(config.lattice_std), persistent=False)
        self.register_buffer("latent_std", torch.ones(latent))

    @property
    def spacing(self) -> None:
        """None: every crystal is on the same grid."""
        return None

    def grid_of(self, cell: Tensor, spacing: float | None = None) -> Tensor:
        """Return n along every lattice vector, (B, 3)."""
        return grid_sizes(cell, self.config.grid, None)

    def standardised(self, cell: Tensor) -> Tensor:
        """Return (B, 6) lattice vectors in units of the training set's spread."""
        return (lattice_to_vector(cell) - self.lattice_mean) / self.lattice_std

    def without_prior(self) -> StandardNormal:
        """Return N(0, 1), towards which the KL divergence has drawn the latents."""
        return StandardNormal(self.config.latent, self.latent_std.device)

    def encode_fields(self, occupancy: Tensor, species: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent, (B, Z) each.

        :param occupancy: (B, 1, n, n, n).
        :param species: (B, K, n/2, n/2, n/2).
        :param cell: (B, 3, 3) Å.
        """
        voxels = space_to_depth(occupancy, 4)  # (B, 64, n/4, ...)
        folded = torch.cat([voxels, space_to_depth(species, 2)], dim=1)
        view = torch.cat([voxels, functional.avg_pool3d(species, 2)], dim=1)
        fine = self.encode_fine(self.enter(folded))  # (B, W, n/4, ...)
        coarse = self.encode_coarse(self.encode_down(fine))  # (B, 2W, n/8, ...)
        mean, log_variance = self.to_latent(torch.cat([coarse.flatten(1), self.standardised(cell)], dim=1)).chunk(
            2, dim=1
        )
        mean = mean + self.view_to_latent(view.flatten(1))
        if self.training:
            self.note_spread(mean)
        return mean, log_variance.clamp(-12.0, 4.0)

    def decode_fields(self, latent: Tensor, cell: Tensor | None = None) -> Decoded:
        """Return occupancy (B, 1, n, n, n), species (B, K, n/2, ...) and standardised lattice (B, 6)."""
        return Decoded(*self._decoded(latent))

    def decode(self, latent: Tensor, cell: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return occupancy, species and the cells (B, 3, 3) in Å that are in the latent."""
        occupancy, species, lattice = self._decoded(latent)
        return occupancy, species, vector_to_lattice(lattice * self.lattice_std + self.lattice_mean)

    def _decoded(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        width, coarse = self.config.width, self.config.grid // 8
        cells = 2 * coarse
        x = self.from_latent(latent).reshape(-1, 2 * width, coarse, coarse, coarse)
        x = depth_to_space(self.decode_up(self.decode_coarse(x)), 2)
        x = x + self.view_from_latent(latent).reshape(-1, width, cells, cells, cells)
        x = self.decode_fine(x)
        lattice = self.lattice_skip(latent) + self.lattice_head(latent)
        return depth_to_space(self.occupancy_head(x), 4), depth_to_space(self.species_head(x), 2), lattice


class StandardNormal:
    """Latents from N(0, 1), for a VAE to which no prior was fitted; it takes no conditions."""

    takes: tuple[str, ...] = ()

    def __init__(self, latent: int, device: torch.device) -> None:
        self.latent, self.device = latent, device

    def draw(self, asked: Mapping[str, Any], n: int, seed: int, how: Drawing | None = None) -> Iterator[Latents]:
        """Yield n latents; what is asked of the space is left to the segmentation."""
        how = how or Drawing()
        noise = Rows(seed, NOISE)
        for start in range(0, n, how.batch_size):
            count = min(how.batch_size, n - start)
            normal = noise.normal(count, self.latent).to(self.device)
            yield Latents(np.arange(start, start + count), normal, None)
