"""VoxelNet: a convolutional network that predicts scalar properties from a crystal's voxels in reciprocal space.

After Kajita et al., Sci. Rep. 7, 16991 (2017), 10.1038/s41598-017-17299-w: amplitudes on an N³ grid, three convolutions
with 16 channels and SELU, two poolings, and dense layers. Changed here: channels may be codes of the elements in place
of one an element; only half of the grid is read, since opposite points hold the same; the mean over fixed orientations
is predicted; several targets at once; and an ensemble where one is asked for.

The origin, the cell and the order of the sites do not matter. The orientation does, as far as training by random
rotations and the mean over orientations leave it; inversion changes nothing.

Shapes: B crystals, S sites, N points along an edge, C channels, T targets, M members, K orientations.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ..crystals.elements import MAX_Z, code_table
from ..fields.batches import CrystalBatch
from ..fields.reciprocal import Amplitudes, amplitudes, cartesian_grid, reach, spherical_grid
from ..settings.network_options import VoxelNetOptions
from .layers.ensemble import PropertyEnsemble


class VoxelNetConfig(VoxelNetOptions):
    """Configuration of the network."""

    targets: list[str]
    """Names of the predicted properties."""
    elements: list[Annotated[int, Field(ge=1, le=MAX_Z)]]
    """Atomic numbers that training has seen; crystals with others are not predicted."""


class Member(nn.Module):
    """One network of the ensemble: grid (B, C, N, N, N/2 or N) -> (B, T) standardised targets."""

    def __init__(self, config: VoxelNetConfig, channels: int) -> None:
        super().__init__()
        width, quarter = config.width, config.size // 4
        self.convolutions = nn.Sequential(
            *(nn.Conv3d(channels, width, 3, padding=1), nn.SELU(), nn.AvgPool3d(2)),
            *(nn.Conv3d(width, width, 3, padding=1), nn.SELU(), nn.AvgPool3d(2)),
            *(nn.Conv3d(width, width, 3, padding=1), nn.SELU()),
        )
        last = config.size if config.whole_grid else config.size // 2
        widths = [width * quarter * quarter * (last // 4), *config.hidden]
        layers = [layer for n, m in pairwise(widths) for layer in (nn.Linear(n, m), nn.SELU())]
        self.dense = nn.Sequential(nn.Flatten(), *layers, nn.Linear(widths[-1], len(config.targets)))
        for module in self.modules():
            if isinstance(module, (nn.Conv3d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")  # what SELU asks for
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    @property
    def heads(self) -> list[nn.Module]:
        """The layers that have an output for each target."""
        return [self.dense[-1]]

    def forward(self, grid: Tensor) -> Tensor:
        """Return (B, T)."""
        return self.dense(self.convolutions(grid))


class VoxelNet(PropertyEnsemble):
    """Networks on the reciprocal voxels of a crystal.

    :param config: see :class:`VoxelNetConfig`.
    """

    codes: Tensor
    level: Tensor
    frames: Tensor

    def __init__(self, config: VoxelNetConfig) -> None:
        super().__init__(len(config.targets))
        self.config = config
        if config.channels == "codes":
            codes = torch.tensor(code_table())
        else:
            codes = torch.zeros(MAX_Z + 1, len(config.elements))
            codes[config.elements, range(len(config.elements))] = 1.0
        self.register_buffer("codes", codes)  # (MAX_Z + 1, C)
        self.register_buffer("level", torch.ones(codes.shape[1]))  # typical amplitude of each channel
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("frames", random_rotations(config.orientations, generator))  # (K, 3, 3)
        self.members = nn.ModuleList(Member(config, codes.shape[1]) for _ in range(config.members))

    @property
    def limit(self) -> float:
        """Length in 1/Å up to which reciprocal vectors are needed."""
        return reach(self.config.size, self.config.length)

    def amplitudes(self, batch: CrystalBatch) -> Amplitudes:
        """Return the Fourier amplitudes of the crystals, which no orientation, origin or cell changes."""
        return amplitudes(batch.cell, batch.frac, self.codes[batch.numbers], self.limit, self.config.sigma)

    def voxels(self, found: Amplitudes) -> Tensor:
        """Return the grid, or the half of it that is read, (B, C, N, N, N/2), in units of the typical amplitude."""
        build = cartesian_grid if self.config.grid == "cartesian" else spherical_grid
        grid = build(found, self.config.size, self.config.length)
        first = 0 if self.config.whole_grid else self.config.size // 2
        return grid[..., first:] / self.level[:, None, None, None]

    def forward(self, batch: CrystalBatch, rotation: Tensor | None = None) -> Tensor:
        """Return the standardised predictions of every member, (M, B, T).

        :param rotation: (B, 3, 3) orientation of each crystal; the mean over fixed ones if not given.
        """
        found = self.amplitudes(batch)
        frames = self.frames if rotation is None else rotation[None]
        total = [self._members(self.voxels(found.turned(frame))) for frame in frames]
        return torch.stack(total).mean(dim=0)

    def _members(self, grid: Tensor) -> Tensor:
        return torch.stack([member(grid) for member in self.members])


def random_rotations(count: int, generator: torch.Generator) -> Tensor:
    """Return (count, 3, 3) rotations, uniform over all orientations, by unit quaternions."""
    w, x, y, z = nn.functional.normalize(torch.randn(count, 4, generator=generator, device=generator.device)).T
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=1).reshape(-1, 3, 3)
