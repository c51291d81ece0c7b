"""Periodic convolution on a small grid as a product in Fourier space.

On P points a 3x3x3 convolution couples every channel with every channel 27 P times; in Fourier space about
1.5 P times, since only one of each pair of conjugate frequencies is needed and three products of reals make one of
complex numbers. The transform is one product with a matrix of about 1.5 P x P, which is cheap up to a hundred
points: there it is two to four times as fast as the direct convolution, forward and backward, and equal to rounding.
For larger cubes see spectral_planes.py.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from .products import product

MOST_POINTS = 100  # of a grid, up to which this pays
MOST_FROZEN = 256  # the same where the weights are worked out once for many convolutions


def grid_points(shape: tuple[int, ...]) -> Tensor:
    """Return the points of a grid in row order, (points, axes) float64."""
    return torch.cartesian_prod(*(torch.arange(n, dtype=torch.double) for n in shape)).reshape(-1, len(shape))


def frequencies(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the frequencies that are their own conjugate, and one of each pair of the others, (F, axes) each."""
    point = grid_points(shape)
    weights = torch.tensor([math.prod(shape[axis + 1 :]) for axis in range(len(shape))], dtype=torch.double)
    rank, opposite = point @ weights, (-point % torch.tensor(shape)) @ weights
    return point[rank == opposite], point[rank < opposite]


def neighbours() -> Tensor:
    """Return the steps to the points that the 27 weights take, (27, 3)."""
    return grid_points((3, 3, 3)) - 1.0


def angles(frequency: Tensor, point: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return the phase of every frequency at every point, (F, P)."""
    return 2.0 * math.pi * ((frequency / torch.tensor(shape, dtype=torch.double)) @ point.T)


# (a + ib)(c + id) takes three products: s = (a + b) c, t = a (d - c) and u = b (c + d); then it is s - u + i (s + t).


def of_left(real: Tensor, imaginary: Tensor) -> Tensor:
    """Return the rows that give a + b, a and b from those that give a and b."""
    return torch.cat([real + imaginary, real, imaginary])


def of_right(real: Tensor, imaginary: Tensor) -> Tensor:
    """Return the rows that give c, d - c and c + d from those that give c and d."""
    return torch.cat([real, imaginary - real, real + imaginary])


def of_products(real: Tensor, imaginary: Tensor) -> Tensor:
    """Return the rows by which s, t and u count from those by which the real and imaginary part count."""
    return torch.cat([real + imaginary, imaginary, -real])


@lru_cache(maxsize=256)
def _transforms(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return matrices from points and from the 27 weights to factors, and from their products to points.

    First come the frequencies that are their own conjugate, which are real, then three real numbers for each other.

    :return: (R, P), (R, 27), (P, R).
    """
    own, pair = frequencies(shape)
    points = grid_points(shape)
    alone, both = angles(own, points, shape), angles(pair, points, shape)
    forth = torch.cat([alone.cos(), of_left(both.cos(), -both.sin())])
    # Coming back, Re(Y e^{it}) = Re(Y) cos t - Im(Y) sin t, and a pair counts twice.
    back = torch.cat([alone.cos(), 2.0 * of_products(both.cos(), -both.sin())]) / len(points)
    # The layer is a correlation, out(p) = sum_d w(d) in(p + d): the weights take the opposite sign of the field.
    alone, both = angles(own, neighbours(), shape), angles(pair, neighbours(), shape)
    kernel = torch.cat([alone.cos(), of_right(both.cos(), both.sin())])
    forth, kernel, back = (m.to(device, dtype).contiguous() for m in (forth, kernel, back.T))
    return forth, kernel, back


def kernel_of(weight: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return what the weights (O, C, 3, 3, 3) are on a grid in Fourier space, (R, C, O).

    For a few crystals it costs more than all the rest.
    """
    _, of_weights, _ = _transforms(shape, weight.dtype, weight.device)
    outputs, channels = weight.shape[:2]
    return product(of_weights, weight.reshape(-1, 27)).view(-1, outputs, channels).transpose(1, 2)


def spectral_conv(x: Tensor, weight: Tensor, bias: Tensor | None, kernel: Tensor | None = None) -> Tensor:
    """Return the periodic 3x3x3 convolution of (B, C, nx, ny, nz) with weights (O, C, 3, 3, 3).

    :param kernel: of the weights, see :func:`kernel_of`; None: it is worked out.
    """
    batch, channels, *shape = x.shape
    outputs, points = weight.shape[0], math.prod(shape)
    forth, _, back = _transforms(tuple(shape), x.dtype, x.device)
    field = product(forth, x.reshape(-1, points)).view(-1, batch, channels)
    result = torch.bmm(field, kernel_of(weight, tuple(shape)) if kernel is None else kernel)  # (R, B, O)
    if bias is not None:
        result[0] += points * bias  # frequency zero, which is the first
    return product(result.view(-1, batch * outputs).T, back).view(batch, outputs, *shape)
