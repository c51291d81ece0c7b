"""Periodic building blocks: a field on the grid of a cell has no edge, so every convolution wraps around."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...fields.grids import Grid
from .products import onednn_linear, onednn_linear_works
from .spectral import MOST_FROZEN, MOST_POINTS, kernel_of, spectral_conv
from .spectral_planes import plane_conv, planes_pay

SEEN = 64  # weights by which a change of them all is seen


class Linear(nn.Linear):
    """A linear layer that takes the product of oneDNN (products.py) where no gradient is wanted."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, I) to (B, O)."""
        if input.device.type != "cpu" or torch.is_grad_enabled() or not onednn_linear_works():
            return super().forward(input)
        return onednn_linear(input, self.weight, self.bias)


class FoldingConv(nn.Conv3d):
    """A 1x1x1 convolution of :func:`space_to_depth` with blocks of 2, without the copy in between."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(8 * inputs, outputs, 1)

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, nx, ny, nz) to (B, O, n/2, n/2, n/2)."""
        weight = self.weight.reshape(self.out_channels, -1, 2, 2, 2)
        return functional.conv3d(input, weight, self.bias, stride=2)


class PeriodicConv(nn.Conv3d):
    """A 3x3x3 convolution that wraps around the cell."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, padding_mode="circular")
        self._last: tuple[tuple[object, ...], Tensor] | None = None  # a grid and weights, and their kernel

    def _kernel(self, shape: tuple[int, ...]) -> Tensor:
        """Return the kernel of a grid, that of the last call where neither grid nor weights have changed.

        Samples of one grid take dozens of steps, one after the other, with the same weights.
        """
        weight = self.weight
        # A fused optimiser changes weights without counting a version: some of them are looked at.
        some = weight.detach().flatten()[:: max(1, weight.numel() // SEEN)].sum().item()
        key = shape, weight.data_ptr(), weight._version, some, weight.dtype, weight.device
        if self._last is None or self._last[0] != key:
            self._last = None  # its memory first
            self._last = key, kernel_of(weight, shape)
        return self._last[1]

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, nx, ny, nz) to (B, O, nx, ny, nz)."""
        nx, ny, nz = input.shape[2:]
        if torch.is_autocast_enabled(input.device.type):  # Fourier transforms have no half precision
            return functional.conv3d(wrap(input), self.weight, self.bias)
        frozen = not torch.is_grad_enabled() and input.device.type == "cpu"
        if nx * ny * nz <= (MOST_FROZEN if frozen else MOST_POINTS):
            kernel = self._kernel((nx, ny, nz)) if frozen else None
            return spectral_conv(input, self.weight, self.bias, kernel)
        if planes_pay(input, self.weight):
            return plane_conv(input, self.weight, self.bias)
        return functional.conv3d(wrap(input), self.weight, self.bias)


class ResidualBlock(nn.Module):
    """Two periodic convolutions around a shortcut, normalised per crystal (independent of the batch)."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            PeriodicConv(channels, channels),
            nn.GroupNorm(groups, channels),
            nn.SiLU(),
            PeriodicConv(channels, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, nx, ny, nz) to the same."""
        return x + self.body(x)


class PreActivatedConv(nn.Module):
    """One periodic convolution around a shortcut: half the cost of a residual block."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), PeriodicConv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, nx, ny, nz) to the same."""
        return x + self.body(x)


@lru_cache(maxsize=1024)
def _folding(shape: tuple[int, int, int], block: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the order of voxels that :func:`space_to_depth` makes of a grid, and its inverse, (voxels,) each."""
    x, y, z = (n // block for n in shape)
    voxels = torch.arange(math.prod(shape), device=device).reshape(x, block, y, block, z, block)
    order = voxels.permute(1, 3, 5, 0, 2, 4).flatten()
    return order, order.argsort()


@lru_cache(maxsize=1024)
def _wrapping(shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Return which voxel of the grid each voxel of the cell with one layer of images is."""
    x, y, z = (torch.arange(-1, n + 1, device=device) % n for n in shape)
    return ((x[:, None, None] * shape[1] + y[:, None]) * shape[2] + z).flatten()


def _voxels(x: Tensor, order: Tensor, rows: int) -> Tensor:
    """Take voxels in another order; one indexed read is ten times as fast as a copy of permuted axes."""
    return x.reshape(rows, -1).index_select(1, order)


def space_to_depth(x: Tensor, block: int) -> Tensor:
    """Fold blocks of voxels into channels: (B, C, nx, ny, nz) -> (B, C b³, nx/b, ny/b, nz/b)."""
    batch, channels, nx, ny, nz = x.shape
    order, _ = _folding((nx, ny, nz), block, x.device)
    folded = _voxels(x, order, batch * channels)
    return folded.reshape(batch, channels * block**3, nx // block, ny // block, nz // block)


def depth_to_space(x: Tensor, block: int) -> Tensor:
    """Undo :func:`space_to_depth`: (B, C b³, mx, my, mz) -> (B, C, mx b, my b, mz b)."""
    batch, folded = x.shape[:2]
    nx, ny, nz = (m * block for m in x.shape[2:])
    channels = folded // block**3
    _, order = _folding((nx, ny, nz), block, x.device)
    return _voxels(x, order, batch * channels).reshape(batch, channels, nx, ny, nz)


def wrap(x: Tensor) -> Tensor:
    """Add one layer of periodic images on every side: (B, C, nx, ny, nz) -> (B, C, nx+2, ny+2, nz+2)."""
    batch, channels, nx, ny, nz = x.shape
    order = _wrapping((nx, ny, nz), x.device)
    return _voxels(x, order, batch * channels).reshape(batch, channels, nx + 2, ny + 2, nz + 2)


def sample_at(field: Tensor, frac: Tensor) -> Tensor:
    """Read a field at fractional coordinates by periodic trilinear interpolation.

    :param field: (B, C, nx, ny, nz).
    :param frac: (B, S, 3).
    :return: (B, S, C).
    """
    batch, sites = frac.shape[:2]
    owner = torch.arange(batch, device=frac.device).repeat_interleave(sites)
    return sample_points(field, owner, frac.reshape(-1, 3)).reshape(batch, sites, -1)


def sample_points(field: Tensor, owner: Tensor, frac: Tensor) -> Tensor:
    """Read a field at points that are listed one by one, as :func:`sample_at` does.

    :param field: (B, C, nx, ny, nz).
    :param owner: (M,) sample of each point; ``frac``: (M, 3).
    :return: (M, C).
    """
    nx, ny, nz = field.shape[2:]
    return _weighted(field, owner, *_corners((nx, ny, nz), frac))


def sample_voxels(field: Tensor, owner: Tensor, voxel: Tensor, grid: Grid) -> Tensor:
    """Read a field as :func:`sample_points` does, at points of a grid that may be another than that of the field.

    :param field: (B, C, nx, ny, nz).
    :param owner: (M,) sample of each point; ``voxel``: (M,) flat index on the grid.
    :return: (M, C).
    """
    nx, ny, nz = field.shape[2:]
    corner, weight = _corners_of_grid((nx, ny, nz), grid, field.device)
    return _weighted(field, owner, corner.index_select(0, voxel), weight.index_select(0, voxel))


def _corners(shape: Grid, frac: Tensor) -> tuple[Tensor, Tensor]:
    """Return the flat indices of the eight points of a grid around each of the given points, and their weights.

    :param frac: (M, 3).
    :return: (M, 8) each, the corners in the order of the bits of 0 to 7.
    """
    device, (_, ny, nz) = frac.device, shape
    n = torch.tensor(shape, device=device)
    position = (frac % 1.0) * n
    low = position.floor()
    t = position - low  # (M, 3)
    low = low.long() % n
    steps = torch.tensor([ny * nz, nz, 1], device=device)
    places = torch.cat([low * steps, (low + 1) % n * steps], dim=1)  # (M, 6): the lower x, y, z, then the upper
    shares = torch.cat([1 - t, t], dim=1)
    corner = weight = None
    for axis in range(3):
        chosen = axis + 3 * (torch.arange(8, device=device) >> (2 - axis) & 1)
        place, share = places.index_select(1, chosen), shares.index_select(1, chosen)
        corner = place if corner is None else corner + place
        weight = share if weight is None else weight * share
    assert corner is not None
    assert weight is not None
    return corner, weight


@lru_cache(maxsize=16)
def _corners_of_grid(shape: Grid, grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return :func:`_corners` of all points of a grid, which are the same in every crystal."""
    axes = (torch.arange(n, device=device) / n for n in grid)
    return _corners(shape, torch.cartesian_prod(*axes))


def _weighted(field: Tensor, owner: Tensor, corner: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted sums of voxels, (M, C), of samples ``owner``, (M,); corner and weight are (M, 8)."""
    voxels = field.flatten(2).transpose(1, 2).flatten(0, 1)  # (B nx ny nz, C)
    rows = owner[:, None] * field[0, 0].numel() + corner
    # One weighted sum of eight rows a point, without eight arrays in between.
    return functional.embedding_bag(rows, voxels, per_sample_weights=weight.to(voxels.dtype), mode="sum")
