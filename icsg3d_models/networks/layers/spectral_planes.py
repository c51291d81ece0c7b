"""Periodic convolution in Fourier space (spectral.py) on grids of 5³ to 8³ points, with frozen weights.

The transform of all n³ points at once costs too much here. Planes are transformed first, by one product with an
n² x n² matrix, and then the lines across them: two thirds of the time of the direct convolution at n = 8 and 32
channels. The gradient of the weights would take that away again; where it is wanted the direct way is taken.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .products import product
from .spectral import angles, frequencies, grid_points, neighbours, of_left, of_products, of_right

LARGEST_LINE = 8  # points along each axis up to which this pays
FEWEST_CHANNELS = 24  # below, the transforms cost more than the products save
CRYSTALS = 16  # at once: what is between the transforms stays in the cache


class _Transforms(NamedTuple):
    """Matrices of a grid. A plane of frequencies is real (own conjugate) or complex, as are the lines across it.

    :ivar real_planes: how many planes are real.
    :ivar planes: (n², n²) planes to frequencies: real ones, then real and imaginary part of each other one.
    :ivar real_lines: (L, n) and ``complex_lines`` (3n, 2n): lines to factors, see spectral.py.
    :ivar kernel: (R, 27) weights to factors.
    :ivar real_lines_back: (n, L), ``complex_lines_back`` (2n, 3n), ``planes_back`` (n², n²): from their products.
    """

    real_planes: int
    planes: Tensor
    real_lines: Tensor
    complex_lines: Tensor
    kernel: Tensor
    real_lines_back: Tensor
    complex_lines_back: Tensor
    planes_back: Tensor


def _alternating(first: Tensor, second: Tensor) -> Tensor:
    """Return rows of one and the other in turn."""
    return torch.stack([first, second], dim=1).flatten(0, 1)


def _kernel(n: int) -> Tensor:
    """Return the matrix from the 27 weights to their factors, line after line."""
    own_line, pair_line = frequencies((n,))
    own, pair = frequencies((n,) * 2)

    def phases(line: Tensor, plane: Tensor) -> Tensor:
        return angles(torch.cat([line, plane.expand(len(line), 2)], dim=1), neighbours(), (n,) * 3)

    rows = []
    for plane in own:
        alone, both = phases(own_line, plane), phases(pair_line, plane)
        rows += [alone.cos(), of_right(both.cos(), both.sin())]
    for plane in pair:
        both = phases(grid_points((n,)), plane)
        rows.append(of_right(both.cos(), both.sin()))
    return torch.cat(rows)


@lru_cache(maxsize=16)
def _transforms(n: int, dtype: torch.dtype, device: torch.device) -> _Transforms:
    """Return the matrices of a grid of n³ points."""
    own, pair = frequencies((n,) * 2)
    plane, line = grid_points((n,) * 2), grid_points((n,))
    alone, both = angles(own, plane, (n,) * 2), angles(pair, plane, (n,) * 2)
    planes = torch.cat([alone.cos(), _alternating(both.cos(), -both.sin())])
    planes_back = torch.cat([alone.cos(), 2.0 * _alternating(both.cos(), -both.sin())]).T / n**2

    own_line, pair_line = frequencies((n,))
    alone, both = angles(own_line, line, (n,)), angles(pair_line, line, (n,))
    real_lines = torch.cat([alone.cos(), of_left(both.cos(), -both.sin())])
    real_lines_back = torch.cat([alone.cos(), 2.0 * of_products(both.cos(), -both.sin())]).T / n

    # On a complex line, (a + ib) e^{-it} = a cos t + b sin t + i (b cos t - a sin t); coming back with e^{it}.
    turn = angles(line, line, (n,))
    cos, sin = turn.cos(), turn.sin()
    complex_lines = of_left(torch.cat([cos, sin], dim=1), torch.cat([-sin, cos], dim=1))
    complex_lines_back = of_products(torch.cat([cos, sin], dim=1), torch.cat([-sin, cos], dim=1)).T / n
    matrices = planes, real_lines, complex_lines, _kernel(n), real_lines_back, complex_lines_back, planes_back
    return _Transforms(len(own), *(m.to(device, dtype).contiguous() for m in matrices))


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the convolution, without a gradient."""
    channels, n = x.shape[1:3]
    outputs = weight.shape[0]
    transforms = _transforms(n, x.dtype, x.device)
    kernel = product(transforms.kernel, weight.reshape(-1, 27)).view(-1, outputs, channels).transpose(1, 2)
    result = x.new_empty(len(x), outputs, n, n, n)
    for some, target in zip(x.split(CRYSTALS), result.split(CRYSTALS), strict=True):
        target.copy_(_convolve_some(some, kernel, bias, transforms))
    return result


def _convolve_some(x: Tensor, kernel: Tensor, bias: Tensor | None, transforms: _Transforms) -> Tensor:
    """Return the convolution of a few crystals with the factors of the weights, (R, C, O)."""
    batch, channels, n = x.shape[:3]
    outputs, alone = kernel.shape[2], transforms.real_planes
    field = product(transforms.planes, x.permute(2, 0, 1, 3, 4).reshape(-1, n * n))  # (planes, n B C)
    real = transforms.real_lines @ field[:alone].view(alone, n, -1)
    both = transforms.complex_lines @ field[alone:].view(-1, 2 * n, batch * channels)
    count = alone * real.shape[1]
    real = torch.bmm(real.view(-1, batch, channels), kernel[:count])  # (alone L, B, O)
    both = torch.bmm(both.view(-1, batch, channels), kernel[count:])  # (pairs 3n, B, O)
    if bias is not None:
        real[0] += n**3 * bias  # frequency zero, which is the first
    real = transforms.real_lines_back @ real.view(alone, -1, batch * outputs)
    both = transforms.complex_lines_back @ both.view(-1, 3 * n, batch * outputs)
    planes = torch.cat([real.flatten(), both.flatten()]).view(n * n, -1)  # (planes, n B O)
    return product(planes.T, transforms.planes_back).view(n, batch, outputs, n, n).permute(1, 2, 0, 3, 4)


class _Convolution(torch.autograd.Function):
    """The gradient of the field is a convolution as well, with the weights turned around."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _convolve(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *pull: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return _convolve(pull[0], weight.flip(2, 3, 4).transpose(0, 1), None), None, None


def planes_pay(x: Tensor, weight: Tensor) -> bool:
    """Return whether :func:`plane_conv` is faster than the direct convolution, and has the gradients wanted."""
    nx, ny, nz = x.shape[2:]
    frozen = not (torch.is_grad_enabled() and weight.requires_grad)
    small = nx == ny == nz and nx <= LARGEST_LINE
    return frozen and small and x.device.type == "cpu" and min(weight.shape[:2]) >= FEWEST_CHANNELS


def plane_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the periodic 3x3x3 convolution of (B, C, n, n, n), n > 2, with frozen weights (O, C, 3, 3, 3)."""
    result: Tensor = _Convolution.apply(x, weight, bias)
    return result
