"""Variational autoencoder of crystals as fields (Kingma & Welling, arXiv:1312.6114).

Fields in, fields and lattice out. A bottleneck of 2³ cells is flattened to the latent, and a linear path around
the convolutions, from a coarse view of the field to the latent and from the latent to the coarse decoder,
lets the composition through from the first step on: without it training takes ten times as long. The condition
(target property, allowed elements) enters through the latent prior p(z | condition), see networks/prior.py:
as in Sohn et al. (NeurIPS 2015) the prior, not the decoder, is conditional.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..settings.network_options import VAEOptions, Width
from .layers.periodic import FoldingConv, ResidualBlock, depth_to_space, space_to_depth


class VAEConfig(VAEOptions):
    """Configuration of the VAE."""

    elements: list[int]
    """Atomic numbers it was trained on."""
    lattice_mean: list[float]
    """(6,) mean of the lattice vector (see lattice.py) of the training crystals."""
    lattice_std: list[float]
    """(6,) its standard deviation."""
    grid: Width = 16
    species_channels: int = 16


class VAE(nn.Module):
    """Encoder and decoder; n is ``config.grid``."""

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

    def encode(self, occupancy: Tensor, species: Tensor, lattice: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent, (B, Z) each.

        :param occupancy: (B, 1, n, n, n).
        :param species: (B, K, n/2, n/2, n/2).
        :param lattice: (B, 6) standardised lattice vector.
        """
        voxels = space_to_depth(occupancy, 4)  # (B, 64, n/4, ...)
        folded = torch.cat([voxels, space_to_depth(species, 2)], dim=1)
        view = torch.cat([voxels, functional.avg_pool3d(species, 2)], dim=1)
        fine = self.encode_fine(self.enter(folded))  # (B, W, n/4, ...)
        coarse = self.encode_coarse(self.encode_down(fine))  # (B, 2W, n/8, ...)
        mean, log_variance = self.to_latent(torch.cat([coarse.flatten(1), lattice], dim=1)).chunk(2, dim=1)
        return mean + self.view_to_latent(view.flatten(1)), log_variance.clamp(-12.0, 4.0)

    def decode(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return occupancy (B, 1, n, n, n), species (B, K, n/2, ...) and standardised lattice (B, 6)."""
        width, coarse = self.config.width, self.config.grid // 8
        cells = 2 * coarse
        x = self.from_latent(latent).reshape(-1, 2 * width, coarse, coarse, coarse)
        x = depth_to_space(self.decode_up(self.decode_coarse(x)), 2)
        x = x + self.view_from_latent(latent).reshape(-1, width, cells, cells, cells)
        x = self.decode_fine(x)
        lattice = self.lattice_skip(latent) + self.lattice_head(latent)
        return depth_to_space(self.occupancy_head(x), 4), depth_to_space(self.species_head(x), 2), lattice
