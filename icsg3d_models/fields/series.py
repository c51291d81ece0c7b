"""Real Fourier series onto a grid, by matrix products where few frequencies matter and by FFT elsewhere.

A Gaussian that the grid resolves well has a narrow spectrum. Its series over the frequencies that matter is three
small matrix products, which run near the peak of the machine; an FFT needs fewer operations but runs far below it,
and spends them on zeros.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Frequencies = tuple[Tensor, Tensor, Tensor]
# Operations a second of the products over those of the FFT, measured on one core with AVX-512 (60 and 10 GFLOP/s).
PRODUCTS_SPEED = 6.0


def signed_frequencies(size: tuple[int, int, int], band: bool, device: torch.device) -> Frequencies:
    """Return the integer frequencies of the three axes; the last axis has the non-negative half.

    :param size: of a ``band`` the largest frequency of each axis; else the grid, and the order is that of the FFT.
    """
    if band:
        lowest = (-size[0], -size[1], 0)
        mx, my, mz = (torch.arange(a, b + 1.0, device=device) for a, b in zip(lowest, size, strict=True))
        return mx, my, mz
    nx, ny, nz = size
    half = torch.fft.rfftfreq(nz, 1.0 / nz, device=device)
    return torch.fft.fftfreq(nx, 1.0 / nx, device=device), torch.fft.fftfreq(ny, 1.0 / ny, device=device), half


def products_pay(grid: tuple[int, int, int], limits: tuple[int, int, int]) -> bool:
    """Return whether products over frequencies up to ``limits`` are faster than an FFT of the grid."""
    nx, ny, nz = grid
    x, y, z = 2 * limits[0] + 1, 2 * limits[1] + 1, limits[2] + 1
    products = 8 * nx * x * y * z + 8 * nx * ny * y * z + 4 * nx * ny * nz * z
    points = nx * ny * nz
    return products < PRODUCTS_SPEED * 2.5 * points * math.log2(points)


def series_by_fft(factor: Tensor, grid: tuple[int, int, int]) -> Tensor:
    """Return the series (B, C, nx, ny, nz) of coefficients (B, nx, ny, C, nz/2+1) in the order of the FFT."""
    return torch.fft.irfftn(factor.permute(0, 3, 1, 2, 4).contiguous(), s=grid, dim=(2, 3, 4), norm="forward")


def series_by_products(factor: Tensor, frequencies: Frequencies, grid: tuple[int, int, int]) -> Tensor:
    """Return the series (B, C, nx, ny, nz) of coefficients (B, X, Y, C, Z) at the given frequencies."""
    nx, ny, nz = grid
    batch, x, y, channels, z = factor.shape
    waves = [_waves(n, m) for n, m in zip(grid, frequencies, strict=True)]
    factor = torch.matmul(waves[0], factor.reshape(batch, x, -1))  # (B, nx, Y C Z)
    factor = torch.matmul(waves[1], factor.reshape(batch * nx, y, -1))  # (B nx, ny, C Z)
    # Negative frequencies of the last axis are the complex conjugates: all but m = 0 count twice.
    twice = torch.where(frequencies[2] == 0, 1.0, 2.0)
    real = torch.stack([waves[2].real * twice, -waves[2].imag * twice], dim=2)  # (nz, Z, 2)
    pairs = torch.view_as_real(factor.reshape(-1, z)).reshape(-1, 2 * z)
    values = (pairs @ real.reshape(nz, 2 * z).T).reshape(batch, nx, ny, channels, nz)
    return values.permute(0, 3, 1, 2, 4).contiguous()


def _waves(n: int, frequency: Tensor) -> Tensor:
    """Return exp(2 pi i j m / n) of the n points j and the frequencies m, (n, M)."""
    angle = (2.0 * math.pi / n) * torch.arange(n, device=frequency.device)[:, None] * frequency
    return torch.complex(angle.cos(), angle.sin())
