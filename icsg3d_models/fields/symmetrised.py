"""Fields that have the symmetry of a space group: the mean over its operations, as of an electron density.

In reciprocal space the operation x -> W x + t takes the coefficient of k to that of W^T k, times exp(2 pi i k t). That
is exact for every grid and every operation, also where it takes no point of the grid to another. Waves of which the
grid does not show all images are left out, so that what comes is symmetric; those are the finest, in the corners.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..crystals.operations import Operations


def symmetrised(field: Tensor, operations: Operations) -> Tensor:
    """Return the mean of fields over operations, in the shape of the fields.

    :param field: (B, C, nx, ny, nz), real.
    """
    shape = field.shape[2:]
    device = field.device
    size = torch.tensor(shape, device=device)
    axes = [torch.fft.fftfreq(n, 1.0 / n, device=device) for n in shape]
    wave = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)  # (N, 3)
    coefficients = torch.fft.fftn(field, dim=(2, 3, 4)).flatten(2)  # (B, C, N)
    total = torch.zeros_like(coefficients)
    shown = torch.ones(len(field), coefficients.shape[2], dtype=torch.bool, device=device)
    inverse = torch.linalg.inv(operations.rotations).round()
    for turn, shift, share in zip(
        inverse.unbind(1), operations.translations.unbind(1), operations.share.unbind(1), strict=True
    ):
        source = torch.einsum("bij,ni->bnj", turn, wave)  # W^-T h: whose coefficient comes to h
        inside = (source.abs() < size / 2).all(dim=-1)
        shown &= inside
        index = source.long() % size
        flat = (index[..., 0] * size[1] + index[..., 1]) * size[2] + index[..., 2]  # (B, N)
        angle = 2 * math.pi * torch.einsum("bnj,bj->bn", source, shift)
        factor = torch.polar(share[:, None].expand_as(angle), angle)
        total += factor[:, None] * coefficients.gather(2, flat[:, None].expand(-1, field.shape[1], -1))
    return torch.fft.ifftn((shown[:, None] * total).reshape(*field.shape[:2], *shape), dim=(2, 3, 4)).real
