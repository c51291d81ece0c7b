"""Periodic Gaussian densities of any cell, by their Fourier coefficients.

A sum of Gaussians over all periodic images has the coefficients
``h(g) = V^-1 exp(-sigma^2 g^2 / 2) sum_j w_j exp(-i g.r_j)`` (Kajita et al., Sci. Rep. 7, 16991 (2017), eq. 2).
In fractional coordinates the phase factors are products of three one-dimensional ones whatever the cell, so the
sum over sites is one matrix product and the infinite sum over images costs nothing. What the grid leaves out is
bounded by ``exp(-(pi sigma n / |a|)^2 / 2)`` per lattice vector; see :func:`truncation`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def _frequencies(n: int, device: torch.device, half: bool) -> Tensor:
    """Return the integer frequencies of a length-n transform, all or the non-negative half."""
    scale = torch.fft.rfftfreq(n, 1.0 / n) if half else torch.fft.fftfreq(n, 1.0 / n)
    return scale.to(device)


def gaussian_density(
    cell: Tensor, frac: Tensor, weights: Tensor, grid: tuple[int, int, int], sigma: float | Tensor
) -> Tensor:
    """Return the density of weighted Gaussians and all their periodic images.

    :param cell: (B, 3, 3) Å, rows are lattice vectors.
    :param frac: (B, S, 3) fractional coordinates; padding sites have weight zero.
    :param weights: (B, S, C) integral of each site's Gaussian in each channel.
    :param grid: points along each lattice vector; the point (i, j, k) lies at (i/nx, j/ny, k/nz).
    :param sigma: standard deviation in Å.
    :return: (B, C, nx, ny, nz) in units of the weights per Å³; its mean times the volume is the sum of weights.
    """
    nx, ny, nz = grid
    device = cell.device
    mx, my, mz = (_frequencies(n, device, half) for n, half in ((nx, False), (ny, False), (nz, True)))
    turn = -2.0 * math.pi
    phase_x = torch.polar(torch.ones((), device=device), turn * frac[..., 0:1] * mx)  # (B, S, nx)
    phase_y = torch.polar(torch.ones((), device=device), turn * frac[..., 1:2] * my)  # (B, S, ny)
    phase_z = torch.polar(torch.ones((), device=device), turn * frac[..., 2:3] * mz)  # (B, S, nz/2+1)
    batch, sites, channels = weights.shape
    plane = (phase_x[..., :, None] * phase_y[..., None, :]).reshape(batch, sites, nx * ny)
    line = (weights.transpose(1, 2)[..., None] * phase_z[:, None]).permute(0, 2, 1, 3)  # (B, S, C, nz/2+1)
    factor = torch.bmm(plane.transpose(1, 2), line.reshape(batch, sites, -1))  # (B, nx*ny, C*(nz/2+1))
    factor = factor.reshape(batch, nx, ny, channels, -1).permute(0, 3, 1, 2, 4)
    return torch.fft.irfftn(
        factor * _damping(cell, (mx, my, mz), sigma)[:, None], s=grid, dim=(2, 3, 4), norm="forward"
    )


def _damping(cell: Tensor, frequencies: tuple[Tensor, Tensor, Tensor], sigma: float | Tensor) -> Tensor:
    """Return exp(-sigma² g² / 2) / V for every frequency, (B, nx, ny, nz/2+1)."""
    reciprocal = 2.0 * math.pi * torch.linalg.inv(cell)  # columns are reciprocal vectors
    metric = reciprocal.transpose(1, 2) @ reciprocal  # g² = m^T metric m
    mx, my, mz = frequencies
    gx = mx[None, :, None, None]
    gy = my[None, None, :, None]
    gz = mz[None, None, None, :]

    def entry(i: int, j: int) -> Tensor:
        return metric[:, i, j, None, None, None]

    plane = entry(0, 0) * gx**2 + entry(1, 1) * gy**2 + 2 * entry(0, 1) * gx * gy
    square = plane + entry(2, 2) * gz**2 + 2 * gz * (entry(0, 2) * gx + entry(1, 2) * gy)
    volume = torch.linalg.det(cell).abs()[:, None, None, None]
    return torch.exp(-0.5 * sigma**2 * square) / volume


def peak_height(sigma: float) -> float:
    """Return the density of one Gaussian of unit integral at its centre, in Å^-3."""
    return (2.0 * math.pi * sigma**2) ** -1.5


def truncation(lengths: Tensor, grid: tuple[int, int, int], sigma: float) -> Tensor:
    """Return the size of the first Fourier term the grid leaves out, relative to the term at g = 0.

    :param lengths: (B, 3) lengths of the lattice vectors in Å. A component beyond ``n/2`` along vector a has
        ``|g| >= pi n / |a|``, whatever the angles of the cell.
    """
    cut = math.pi * torch.tensor(grid, device=lengths.device) / lengths
    return torch.exp(-0.5 * (sigma * cut.min(dim=-1).values) ** 2)


def grid_for(lengths: tuple[float, float, float], resolution: float) -> tuple[int, int, int]:
    """Return the smallest even grid whose spacing along each lattice vector is at most ``resolution`` Å."""
    nx, ny, nz = (max(4, 2 * math.ceil(length / resolution / 2)) for length in lengths)
    return nx, ny, nz
