"""Variational autoencoder whose latent is a field itself: one vector for every 4³ voxels.

For crystals of any size and shape. Nothing in it depends on the number of atoms or on where the cell begins: it looks
at neighbouring blocks only, wraps around the cell, and normalises by means over it, which a supercell shares. Encoder
and decoder are told the shape of a block (its metric), since a Gaussian in Å looks different on every
grid. The cell itself is not encoded; it is carried beside the latent. Compared with networks/vae.py the latent grows
with the crystal: it compresses less, and generalises further. Spatial latents are those of Rombach et al.
(arXiv:2112.10752).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..fields.grids import MULTIPLE, grid_sizes
from ..settings.network_options import LocalVAEOptions
from .generator import Autoencoder, AutoencoderConfig, Decoded
from .layers.periodic import ResidualBlock, depth_to_space, space_to_depth


class LocalVAEConfig(LocalVAEOptions, AutoencoderConfig):
    """Configuration of the local VAE."""

    spacing: float
    """Å, at most this far from point to point of the occupancy."""


def block_metric(cell: Tensor, blocks: torch.Size, spacing: float) -> Tensor:
    """Return the metric of a block of voxels relative to that of a cube of the nominal size, (B, 6).

    :param cell: (B, 3, 3) Å.
    :param blocks: blocks along each lattice vector.
    :param spacing: Å, nominal, from point to point.
    """
    # Without a tensor from the host, for which a GPU would have to wait.
    vectors = torch.stack([cell[:, i] / (MULTIPLE * spacing * n) for i, n in enumerate(blocks)], dim=1)
    with torch.autocast(cell.device.type, enabled=False):
        metric = vectors @ vectors.transpose(1, 2)
    return torch.stack([metric[:, i, j] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))], dim=1)


class Modulation(nn.Module):
    """Scale and shift of channels that depend on the shape of a block of voxels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 64), nn.SiLU(), nn.Linear(64, 2 * channels))

    def forward(self, x: Tensor, shape: Tensor) -> Tensor:
        """(B, C, mx, my, mz) and (B, 6) to (B, C, mx, my, mz)."""
        scale, shift = self.net(shape)[:, :, None, None, None].chunk(2, dim=1)
        return x * (1 + scale) + shift


class LocalVAE(Autoencoder):
    """Encoder and decoder."""

    encoder_parts = ("enter", "encoder_shape", "encoder", "to_latent")
    config: LocalVAEConfig

    def __init__(self, config: LocalVAEConfig) -> None:
        super().__init__()
        self.config = config
        width, channels = config.width, config.channels
        self.enter = nn.Conv3d(64 + 8 * config.species_channels, width, 1)
        self.encoder_shape = Modulation(width)
        self.encoder = nn.Sequential(*[ResidualBlock(width) for _ in range(config.encoder_blocks)])
        self.to_latent = nn.Conv3d(width, 2 * channels, 1)
        self.from_latent = nn.Conv3d(channels, width, 1)
        self.decoder_shape = Modulation(width)
        self.decoder = nn.Sequential(*[ResidualBlock(width) for _ in range(config.decoder_blocks)])
        self.occupancy_head = nn.Conv3d(width, 64, 1)
        self.species_head = nn.Conv3d(width, 8 * config.species_channels, 1)
        self.register_buffer("latent_std", torch.ones(channels))

    @property
    def spacing(self) -> float:
        """Å, from point to point of the fields in training."""
        return self.config.spacing

    def grid_of(self, cell: Tensor, spacing: float | None = None) -> Tensor:
        """Return the points along each lattice vector, (B, 3), at most ``spacing`` apart."""
        return grid_sizes(cell, 0, self.config.spacing if spacing is None else spacing)

    def encode_fields(self, occupancy: Tensor, species: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of the latent, (B, Z, nx/4, ny/4, nz/4) each.

        :param occupancy: (B, 1, nx, ny, nz).
        :param species: (B, K, nx/2, ny/2, nz/2).
        :param cell: (B, 3, 3) Å.
        """
        x = self.enter(torch.cat([space_to_depth(occupancy, 4), space_to_depth(species, 2)], dim=1))
        x = self.encoder(self.encoder_shape(x, block_metric(cell, x.shape[2:], self.config.spacing)))
        mean, log_variance = self.to_latent(x).chunk(2, dim=1)
        if self.training:
            self.note_spread(mean)
        return mean, log_variance.clamp(-12.0, 4.0)

    def decode_fields(self, latent: Tensor, cell: Tensor | None) -> Decoded:
        """Return occupancy (B, 1, nx, ny, nz) and species (B, K, nx/2, ny/2, nz/2)."""
        shape = block_metric(given(cell), latent.shape[2:], self.config.spacing)
        x = self.decoder(self.decoder_shape(self.from_latent(latent), shape))
        return Decoded(depth_to_space(self.occupancy_head(x), 4), depth_to_space(self.species_head(x), 2), None)

    def decode(self, latent: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return occupancy, species and the cells given."""
        occupancy, species, _ = self.decode_fields(latent, cell)
        return occupancy, species, given(cell)


def given(cell: Tensor | None) -> Tensor:
    """Return the cells.

    :raises ValueError: there are none.
    """
    if cell is None:
        raise ValueError("the latents of a local VAE do not hold the cell; give the cells beside them")
    return cell
