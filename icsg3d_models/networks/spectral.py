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
def _transforms(n: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor, int]:
    """Return matrices from points to frequencies, from frequencies to points and from the 27 weights to frequencies.

    Of each pair of conjugate frequencies one is kept. First come the real parts of those that are their own
    conjugate, whose imaginary part is zero, then the real and then the imaginary parts of the others: n³ in all.

    :return: (n³, n³), (n³, n³), (n³, 27), and how many frequencies are real.
    """
    axis = torch.arange(n)
    point = torch.cartesian_prod(axis, axis, axis)  # (n³, 3)
    opposite = ((-point % n) * torch.tensor([n * n, n, 1])).sum(dim=1)
    rank = torch.arange(n**3)
    own, pair = point[rank == opposite].double(), point[rank < opposite].double()
    step = torch.arange(-1, 2)
    neighbour = torch.cartesian_prod(step, step, step)  # (27, 3)

    def waves(at: Tensor, sign: float) -> Tensor:
        turn = 2.0 * math.pi / n * at.double()
        alone, both = own @ turn.T, pair @ turn.T
        return torch.cat([alone.cos(), both.cos(), sign * both.sin()])

    # Coming back, Re(Y e^{it}) = Re(Y) cos t - Im(Y) sin t, and a pair counts twice.
    back = waves(point, -1.0) / n**3
    back[len(own) :] *= 2.0
    # The layer is a correlation, out(p) = sum_d w(d) in(p + d): the weights take the opposite sign of the field.
    forth, back, of_weights = (m.to(device, dtype) for m in (waves(point, -1.0), back, waves(neighbour, 1.0)))
    return forth, back, of_weights, len(own)


def spectral_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the periodic 3x3x3 convolution of (B, C, n, n, n) with weights (O, C, 3, 3, 3)."""
    batch, channels, n = x.shape[:3]
    outputs = weight.shape[0]
    forth, back, of_weights, alone = _transforms(n, x.dtype, x.device)
    field = (forth @ x.reshape(-1, n**3).T).view(-1, batch, channels)
    kernel = (of_weights @ weight.reshape(-1, 27).T).view(-1, outputs, channels).transpose(1, 2)
    count = (n**3 + alone) // 2  # frequencies, of which all but `alone` have an imaginary part
    real = torch.bmm(field[:count], kernel[:count])  # (F, B, O)
    if count > alone:
        field_re, field_im = field[alone:count], field[count:]
        kernel_re, kernel_im = kernel[alone:count], kernel[count:]
        paired = torch.baddbmm(real[alone:], field_im, kernel_im, alpha=-1)
        imaginary = torch.baddbmm(torch.bmm(field_re, kernel_im), field_im, kernel_re)
        real = torch.cat([real[:alone], paired, imaginary])
    result = (real.view(n**3, -1).T @ back).view(batch, outputs, n, n, n)
    return result if bias is None else result + bias[:, None, None, None]
