"""Periodic convolution on a small grid as a product in Fourier space.

On n³ points a 3x3x3 convolution couples every channel with every channel 27 n³ times; in Fourier space about
2 n³ times, since only one of each pair of conjugate frequencies is needed. The transform itself is one product
with an n³ x n³ matrix, which is cheap up to n = 4: there it is two to four times as fast as the direct
convolution, forward and backward, and equal to rounding. At n = 8 the transform costs more than it saves.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

LARGEST = 4  # points along each axis up to which this pays


@lru_cache(maxsize=16)
def _transforms(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the matrices from points to frequencies, from frequencies to points and from the 27 weights to both.

    :return: (n³, 2F), (2F, n³), (27, 2F); real and imaginary parts of a frequency are neighbours.
    """
    axis = torch.arange(n)
    point = torch.cartesian_prod(axis, axis, axis)  # (n³, 3)
    place = torch.tensor([n * n, n, 1])
    opposite = ((-point % n) * place).sum(dim=1)
    rank = torch.arange(n**3)
    frequency = point[rank <= opposite]  # (F, 3), one of each conjugate pair
    pairs = torch.where(rank < opposite, 2.0, 1.0)[rank <= opposite].double()
    step = torch.arange(-1, 2)
    neighbour = torch.cartesian_prod(step, step, step)  # (27, 3)

    def wave(at: Tensor, sign: float) -> Tensor:
        turn = sign * 2.0 * math.pi / n * (at.double() @ frequency.double().T)
        return torch.stack([turn.cos(), turn.sin()], dim=2)  # (., F, 2)

    # Only the real part comes back: Re(Y e^{i t}) = Re(Y) cos t - Im(Y) sin t.
    back = wave(point, 1.0) * torch.tensor([1.0, -1.0]) * pairs[:, None] / n**3
    # The layer is a correlation, out(p) = sum_d w(d) in(p + d): the weights take the opposite sign.
    matrices = wave(point, -1.0).flatten(1), back.flatten(1).T, wave(neighbour, 1.0).flatten(1)
    to_frequency, to_point, of_weights = (m.to(device, dtype).contiguous() for m in matrices)
    return to_frequency, to_point, of_weights


def spectral_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the periodic 3x3x3 convolution of (B, C, n, n, n) with weights (O, C, 3, 3, 3)."""
    batch, channels, n = x.shape[:3]
    outputs = weight.shape[0]
    to_frequency, to_point, of_weights = _transforms(n, x.dtype, x.device)
    field = (x.reshape(batch * channels, -1) @ to_frequency).view(batch, channels, -1, 2)
    kernel = (weight.reshape(outputs * channels, 27) @ of_weights).view(outputs, channels, -1, 2)
    product = torch.bmm(
        torch.view_as_complex(field).permute(2, 0, 1), torch.view_as_complex(kernel).permute(2, 1, 0)
    )  # (F, B, O)
    spectrum = torch.view_as_real(product.permute(1, 2, 0).contiguous())
    result = (spectrum.view(batch * outputs, -1) @ to_point).view(batch, outputs, n, n, n)
    return result if bias is None else result + bias[:, None, None, None]
