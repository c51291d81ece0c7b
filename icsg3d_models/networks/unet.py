"""U-Net that segments a field: which voxels belong to an atom, and of which element.

After Ronneberger et al. (arXiv:1505.04597) in three dimensions and periodic; the two heads, a softmax over elements
and a sigmoid for "atom", are those of ICSG3D (10.1021/acs.jcim.0c00464). It differs in that the element is
read from species channels rather than from the height of one density, and in that nothing depends on the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..settings.network_options import UNetOptions
from .layers.periodic import (
    FoldingConv,
    Linear,
    PreActivatedConv,
    ResidualBlock,
    depth_to_space,
    sample_at,
    sample_voxels,
    space_to_depth,
)


class UNetConfig(UNetOptions):
    """Configuration of the U-Net."""

    elements: list[int]
    """Atomic numbers that it can name, in the order of its classes."""
    species_channels: int = 16
    """Numbers of the code of an element; see :func:`..crystals.elements.code_table`."""


class UNet(nn.Module):
    """Occupancy and species channels (half as fine) to a mask and to element logits where they are asked for."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Conv3d(8 + config.species_channels, width, 1)
        self.fine = PreActivatedConv(width)
        self.down = FoldingConv(width, 2 * width)
        self.coarse = ResidualBlock(2 * width)
        self.up = nn.Conv3d(2 * width, 8 * width, 1)
        self.merge = PreActivatedConv(width)
        self.mask_head = nn.Conv3d(width, 8, 1)
        self.species_head = nn.Sequential(
            nn.LayerNorm(width + config.species_channels),
            Linear(width + config.species_channels, 2 * width),
            nn.SiLU(),
            Linear(2 * width, len(config.elements)),
        )

    def features(self, occupancy: Tensor, species: Tensor) -> list[Tensor]:
        """Return the activations of every level: the features of the feature-consistency loss.

        :param occupancy: (B, 1, nx, ny, nz).
        :param species: (B, K, nx/2, ny/2, nz/2).
        :return: (B, W, nx/2, ...), (B, 2W, nx/4, ...), (B, W, nx/2, ...); the last feeds the heads.
        """
        entered = self.enter(torch.cat([space_to_depth(occupancy, 2), species], dim=1))
        fine = self.fine(entered)  # (B, W, n/2, ...)
        coarse = self.coarse(self.down(fine))  # (B, 2W, n/4, ...)
        merged = self.merge(fine + depth_to_space(self.up(coarse), 2))  # (B, W, n/2, ...)
        return [fine, coarse, merged]

    def mask_logits(self, features: list[Tensor]) -> Tensor:
        """Return the logit of "this voxel belongs to an atom", (B, nx, ny, nz)."""
        return depth_to_space(self.mask_head(features[-1]), 2)[:, 0]

    def species_logits(self, features: list[Tensor], species: Tensor, frac: Tensor) -> Tensor:
        """Return element logits at points, (B, S, E).

        The head is evaluated where it is needed, at the voxels of atoms, rather than on the whole grid.

        :param frac: (B, S, 3) points in fractional coordinates.
        """
        joined = torch.cat([features[-1], species], dim=1)
        logits: Tensor = self.species_head(sample_at(joined, frac))
        return logits

    def species_logits_of(self, features: list[Tensor], species: Tensor, owner: Tensor, voxel: Tensor) -> Tensor:
        """Return element logits, (M, E), at voxels (M,) of the occupancy in the samples ``owner``, (M,)."""
        joined = torch.cat([features[-1], species], dim=1)
        nx, ny, nz = (2 * n for n in species.shape[2:])
        logits: Tensor = self.species_head(sample_voxels(joined, owner, voxel, (nx, ny, nz)))
        return logits
