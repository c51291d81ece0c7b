"""The U-Net of ICSG3D: which element a voxel of its box belongs to (softmax), and whether to any (sigmoid).

After Court et al., J. Chem. Inf. Model. 2020, 10.1021/acs.jcim.0c00464: convolutions of 32-64, 64-128, 128-256 and
512-512 channels, mirrored on the way up, each followed by ReLU and batch normalisation; zeros around the box. The
activations of the four levels on the way down judge the decoded fields of the VAE.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ...fields.batches import CrystalBatch
from ...fields.seeds.icsg3d_box import CLASSES, coordinates, density
from ...settings.seeds.options import ICSG3DUNetOptions

CHANNELS = 4  # the density and three coordinates


class ICSG3DUNetConfig(ICSG3DUNetOptions):
    """Configuration of the U-Net."""

    elements: list[int]
    """Atomic numbers that training has seen."""
    radii: list[float]
    """(MAX_Z + 1,) Å, mean ionic radius of each element."""
    class_weights: list[float]
    """(95,) weight of each class in the loss."""


class Level(nn.Module):
    """Two convolutions, each with ReLU and batch normalisation."""

    def __init__(self, enters: int, first: int, second: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            [nn.Conv3d(enters, first, 3, padding=1), nn.Conv3d(first, second, 3, padding=1)]
        )
        self.norms = nn.ModuleList([batch_norm(first), batch_norm(second)])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output, and the second activation before its normalisation."""
        activation = x
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            activation = torch.relu(convolution(x))
            x = norm(activation)
        return x, activation


def batch_norm(channels: int) -> nn.BatchNorm3d:
    """Return batch normalisation with the constants of Keras."""
    return nn.BatchNorm3d(channels, eps=1e-3, momentum=0.01)


class ICSG3DUNet(nn.Module):
    """Density and coordinates (B, 4, n, n, n) to logits of 95 classes and of "atom"."""

    radii: Tensor
    class_weights: Tensor

    def __init__(self, config: ICSG3DUNetConfig) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.down = nn.ModuleList(
            [Level(CHANNELS, w, 2 * w), Level(2 * w, 2 * w, 4 * w), Level(4 * w, 4 * w, 8 * w),
             Level(8 * w, 16 * w, 16 * w)]
        )  # fmt: skip
        self.up = nn.ModuleList([Level(24 * w, 16 * w, 8 * w), Level(12 * w, 8 * w, 4 * w), Level(6 * w, 4 * w, 4 * w)])
        self.species_head = nn.Conv3d(4 * w, CLASSES, 1)
        self.mask_head = nn.Conv3d(4 * w, 1, 1)
        self.register_buffer("radii", torch.tensor(config.radii), persistent=False)
        self.register_buffer("class_weights", torch.tensor(config.class_weights), persistent=False)

    def channels(self, batch: CrystalBatch) -> Tensor:
        """Return the four channels of crystals, (B, 4, n, n, n)."""
        field = density(batch, self.radii, self.config.grid, self.config.sigma_fraction)
        return torch.cat([field, coordinates(batch.cell.norm(dim=2), self.config.grid)], dim=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the second activation of each level on the way down: ReLUs 2, 4, 6 and 8 of the paper."""
        found = []
        for index, level in enumerate(self.down):
            x, activation = level(x if index == 0 else nn.functional.max_pool3d(x, 2))
            found.append(activation)
        return found

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return species logits (B, 95, n, n, n) and mask logits (B, n, n, n)."""
        kept = []
        for index, level in enumerate(self.down):
            x, _ = level(x if index == 0 else nn.functional.max_pool3d(x, 2))
            kept.append(x)
        for level, beside in zip(self.up, kept[-2::-1], strict=True):
            x, _ = level(torch.cat([beside, nn.functional.interpolate(x, scale_factor=2.0)], dim=1))
        return self.species_head(x), self.mask_head(x)[:, 0]
