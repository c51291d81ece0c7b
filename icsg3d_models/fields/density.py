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

from .series import products_pay, series_by_fft, series_by_products, signed_frequencies

CACHED_POINTS = 2**21  # points of one transform on a CPU, 8 MB: much more, and memory is the limit
NEGLIGIBLE = 5.7  # sigma |g| beyond which a Fourier term is below 1e-7 of the one at g = 0


def gaussian_density(
    cell: Tensor, frac: Tensor, weights: Tensor, grid: tuple[int, int, int], sigma: float | Tensor
) -> Tensor:
    """Return the density of weighted Gaussians and all their periodic images.

    :param cell: (B, 3, 3) Å, rows are lattice vectors.
    :param frac: (B, S, 3) fractional coordinates; padding sites have weight zero.
    :param weights: (B, S, C) integral of each site's Gaussian in each channel.
    :param grid: points along each lattice vector; the point (i, j, k) lies at (i/nx, j/ny, k/nz).
    :param sigma: standard deviation in Å, one number or (B,) one a crystal.
    :return: (B, C, nx, ny, nz) in units of the weights per Å³; its mean times the volume is the sum of weights.
    """
    widths = torch.as_tensor(sigma, dtype=cell.dtype, device=cell.device).expand(len(cell))
    if cell.device.type != "cpu":
        return _density(cell, frac, weights, grid, widths)
    step = max(1, CACHED_POINTS // (math.prod(grid) * weights.shape[2]))
    if step >= len(cell):
        return _density(cell, frac, weights, grid, widths)
    pieces = zip(*(x.split(step) for x in (cell, frac, weights, widths)), strict=True)
    return torch.cat([_density(c, f, w, grid, width) for c, f, w, width in pieces])


def _density(cell: Tensor, frac: Tensor, weights: Tensor, grid: tuple[int, int, int], sigma: Tensor) -> Tensor:
    """Return the density of a few crystals in one transform; arguments as in :func:`gaussian_density`."""
    limits = _band(cell, grid, sigma)
    by_products = products_pay(grid, limits)
    frequencies = signed_frequencies(limits if by_products else grid, by_products, cell.device)

    def phase(axis: int) -> Tensor:
        angle = -2.0 * math.pi * frac[..., axis : axis + 1] * frequencies[axis]
        return torch.complex(angle.cos(), angle.sin())  # (B, S, frequencies)

    batch, sites, channels = weights.shape
    plane = (phase(0)[..., :, None] * phase(1)[..., None, :]).flatten(2)  # (B, S, X*Y)
    line = weights[..., None] * phase(2)[:, :, None]  # (B, S, C, Z)
    factor = torch.bmm(plane.transpose(1, 2), line.reshape(batch, sites, -1))  # (B, X*Y, C*Z)
    factor = factor.reshape(batch, len(frequencies[0]), len(frequencies[1]), channels, -1)
    factor = factor * _damping(cell, frequencies, sigma)[:, :, :, None]
    return series_by_products(factor, frequencies, grid) if by_products else series_by_fft(factor, grid)


def _band(cell: Tensor, grid: tuple[int, int, int], sigma: Tensor) -> tuple[int, int, int]:
    """Return the largest frequency along each vector that float32 can tell from zero, or that the grid holds.

    A frequency m along the vector a has ``|g| >= 2 pi |m| / |a|``.
    """
    widest = (cell.norm(dim=2) / sigma[:, None]).amax(dim=0) * (NEGLIGIBLE / (2.0 * math.pi))
    # A cell that is not finite makes a field that is not, here as anywhere else.
    x, y, z = (min((n - 1) // 2, int(limit)) for n, limit in zip(grid, widest.nan_to_num().tolist(), strict=True))
    return x, y, z


def _damping(cell: Tensor, frequencies: tuple[Tensor, Tensor, Tensor], sigma: Tensor) -> Tensor:
    """Return exp(-sigma² g² / 2) / V for every frequency, (B, X, Y, Z)."""
    normal = torch.linalg.cross(cell.roll(-1, 1), cell.roll(-2, 1))  # rows b x c, c x a, a x b
    volume = (cell[:, :1] * normal[:, :1]).sum(dim=2, keepdim=True).abs()  # (B, 1, 1)
    # g = 2 pi m . normal / V, without a solver; a flat cell has no density and gives NaN.
    metric = -0.5 * (2.0 * math.pi * sigma[:, None, None] / volume) ** 2 * (normal @ normal.transpose(1, 2))
    mx, my, mz = frequencies

    def form(i: int, j: int, left: Tensor, right: Tensor) -> Tensor:
        return metric[:, i, j, None, None] * left * right

    gx, gy = mx[:, None], my[:, None]
    # The quadratic form as three planes: one exponential and two sums a frequency are all that is left in 3-D.
    xy = form(0, 0, gx, gx) + form(1, 1, my, my) + 2 * form(0, 1, gx, my) - volume.log()
    xz = form(2, 2, mz, mz) + 2 * form(0, 2, gx, mz)
    yz = 2 * form(1, 2, gy, mz)
    exponent = xy[:, :, :, None] + xz[:, :, None, :] + yz[:, None]
    # Below, float32 turns subnormal and arithmetic ten times slower; exp(-60) is nothing beside the rest.
    return exponent.clamp(min=-60.0).exp()


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
