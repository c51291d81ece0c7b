"""Crystals in reciprocal space: amplitudes of their Fourier coefficients on a cartesian or a spherical grid.

After the reciprocal 3-D voxel space of Kajita et al., Sci. Rep. 7, 16991 (2017), 10.1038/s41598-017-17299-w: a
periodic sum of Gaussians has the coefficients ``h(g) = V^-1 exp(-sigma² g² / 2) sum_j w_j exp(-i g.r_j)`` at the
vectors g of the reciprocal lattice. Another origin changes only the phase of h, and another cell of the same crystal
only adds vectors at which h is zero. So the sum of ``|h|`` over the vectors near each voxel depends on neither, and
turns with the crystal. Changed here: a vector is shared linearly between the voxels around it, where the paper counts
it in one; a vector on the border of two voxels, frequent in cubic cells, would fall to either side by rounding.

What ``|h|`` loses: with one channel an element, two crystals in which the atoms of each element form the same lattice
up to an origin of their own look alike, such as ABO3 with A and B exchanged. Channels in which several elements
overlap (their codes) keep the phase between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Amplitudes:
    """One of each pair g, -g of reciprocal vectors, whose amplitudes are equal because densities are real.

    :param vector: (B, G, 3) 1/Å, 2π included; the zero vector is among them.
    :param value: (B, G, C) ``|h|`` in the unit of the weights per Å³; zero where the crystal has fewer than G vectors,
        half at the zero vector, which is its own partner.
    """

    vector: Tensor
    value: Tensor

    def turned(self, rotation: Tensor) -> Amplitudes:
        """Return the amplitudes of the crystals turned by (B, 3, 3) or (3, 3) matrices, x -> x @ rotation."""
        return Amplitudes(self.vector @ rotation, self.value)


def reach(size: int, length: float) -> float:
    """Return the length in 1/Å beyond which no reciprocal vector touches a cartesian grid, however it is turned."""
    return math.sqrt(3) * math.pi * (size + 1) / length


def amplitudes(cell: Tensor, frac: Tensor, weights: Tensor, limit: float, sigma: float) -> Amplitudes:
    """Return the Fourier amplitudes of periodic Gaussians up to ``|g| = limit``.

    :param cell: (B, 3, 3) Å, rows are lattice vectors.
    :param frac: (B, S, 3) fractional coordinates; padding sites have weight zero.
    :param weights: (B, S, C) integral of each site's Gaussian in each channel.
    :param limit: 1/Å.
    :param sigma: standard deviation of the Gaussians in Å.
    """
    bound = (cell.norm(dim=2).amax(dim=0) * (limit / (2 * math.pi))).floor().long().tolist()
    x, y, z = (torch.arange(-b, b + 1, device=cell.device, dtype=cell.dtype) for b in bound)
    index = torch.cartesian_prod(x, y, z)  # (M, 3)
    index = index[len(index) // 2 :]  # zero and, of every pair, the later one
    vector = 2 * math.pi * index @ torch.linalg.inv(cell).transpose(1, 2)  # (B, M, 3)
    square = vector.square().sum(dim=2)
    inside = square <= limit**2
    most = int(inside.sum(dim=1).amax())
    order = torch.argsort(inside.byte(), dim=1, descending=True, stable=True)[:, :most]  # (B, G)
    inside, square = inside.gather(1, order), square.gather(1, order)
    vector = vector.gather(1, order[:, :, None].expand(-1, -1, 3))
    angle = 2 * math.pi * index[order] @ frac.transpose(1, 2)  # (B, G, S)
    real, imaginary = angle.cos() @ weights, angle.sin() @ weights  # (B, G, C)
    damping = (-0.5 * sigma**2 * square).exp() * inside / torch.linalg.det(cell).abs()[:, None]
    damping = torch.where(square == 0, 0.5 * damping, damping)
    return Amplitudes(vector, torch.hypot(real, imaginary) * damping[:, :, None])


def cartesian_grid(found: Amplitudes, size: int, length: float) -> Tensor:
    """Return (B, C, N, N, N) sums of amplitudes over the box of ±πN/L along x, y and z.

    Voxels have the width 2π/L; the origin is a corner of eight of them where N is even, as inversion asks.

    :param size: N.
    :param length: L in Å; peaks further apart than 2π/L are resolved.
    """
    centred = found.vector * (length / (2 * math.pi)) + (size - 1) / 2  # in voxels, from the centre of the first
    lower = centred.floor()
    share = centred - lower
    axes = []
    for axis in range(3):
        places = torch.stack([lower[..., axis], lower[..., axis] + 1], dim=-1).long()  # (B, G, 2)
        parts = torch.stack([1 - share[..., axis], share[..., axis]], dim=-1)
        axes.append((places, parts * ((places >= 0) & (places < size))))
    half = _spread(found.value, axes, (size, size, size))
    return half + half.flip(2, 3, 4)


def spherical_grid(found: Amplitudes, size: int, length: float) -> Tensor:
    """Return (B, C, N, N, N) sums of amplitudes over r up to πN/L, the polar angle and the azimuth.

    Shells have the width π/L. At the poles, where the azimuth means nothing, a vector is shared by all of it, and the
    zero vector by all directions of the first shell.

    :param size: N, even so that the opposite of a direction is on the grid as well.
    :param length: L in Å.
    """
    if size % 2:
        raise ValueError(f"size {size}: a spherical grid needs an even number of points")
    x, y, z = found.vector.unbind(dim=-1)
    radius, across = found.vector.norm(dim=-1), torch.hypot(x, y)
    shell = _linear(radius * (length / math.pi) - 0.5, size, outside="drop")
    polar = _linear(torch.atan2(across, z) * (size / math.pi) - 0.5, size, outside="clamp")
    azimuth = _linear(torch.atan2(y, x) * (size / (2 * math.pi)), size, outside="wrap")
    # 1 away from the poles, falling to 0 over the half bin next to them
    known = (across / radius.clamp(min=1e-12) / math.sin(math.pi / (2 * size))).clamp(max=1)[..., None]
    zero = (radius == 0)[..., None]
    value = torch.where(zero, 0.0, found.value)
    half = _spread(value * known, [shell, polar, azimuth], (size, size, size))
    half = half + _spread(value * (1 - known), [shell, polar], (size, size, 1)) / size
    half[:, :, 0] += (found.value * zero).sum(dim=1)[:, :, None, None] / size**2
    return half + half.flip(3).roll(size // 2, dims=4)


def _linear(place: Tensor, size: int, outside: str) -> tuple[Tensor, Tensor]:
    """Return the two points around a place on an axis, (B, G, 2), and the share of each."""
    lower = place.floor()
    places = torch.stack([lower, lower + 1], dim=-1).long()
    parts = torch.stack([lower + 1 - place, place - lower], dim=-1)
    if outside == "wrap":
        return places % size, parts
    if outside == "drop":
        # below the centre of the first bin there is no other to share with
        parts = parts * (places < size)
    return places.clamp(0, size - 1), parts


def _spread(value: Tensor, axes: list[tuple[Tensor, Tensor]], shape: tuple[int, int, int]) -> Tensor:
    """Return (B, C, *shape) sums of (B, G, C) values, each shared by two points of every axis given."""
    batch, count, channels = value.shape
    place = torch.zeros(batch, count, 1, dtype=torch.long, device=value.device)
    part = torch.ones(batch, count, 1, dtype=value.dtype, device=value.device)
    for (places, parts), size in zip(axes, shape, strict=False):
        place = (place[..., None] * size + places[:, :, None].clamp(0, size - 1)).flatten(2)
        part = (part[..., None] * parts[:, :, None]).flatten(2)
    points = math.prod(shape)
    place = place + points * torch.arange(batch, device=place.device)[:, None, None]
    grid = value.new_zeros(batch * points, channels)
    grid.index_add_(0, place.flatten(), (value[:, :, None] * part[..., None]).reshape(-1, channels))
    return grid.reshape(batch, *shape, channels).permute(0, 4, 1, 2, 3)
