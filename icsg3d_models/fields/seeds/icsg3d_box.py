"""The box of ICSG3D: a cell with right angles and a quarter of it on either side, n points along each axis.

After Court et al., J. Chem. Inf. Model. 2020, 10.1021/acs.jcim.0c00464, and its code.

Four channels: the density ``(2π)^(-3/2) Σ Z σ^-3 exp(-d²/2σ²)`` of the atoms of the cell alone, without periodic
images, σ a mean ionic radius; and the coordinates x, y, z in Å, in which the lattice is carried. The species map
names the atom that a voxel belongs to.

Shapes: B crystals, S sites, n points along an axis.
"""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import torch
from torch import Tensor

from ...crystals.batch import Crystals
from ...crystals.cells import cell_parameters
from ...crystals.elements import MAX_Z, SYMBOLS
from ..batches import CrystalBatch

MARGIN = 0.25  # of the cell, on either side
MOST_SITES = 40
CLASSES = 95  # no atom, and the elements up to Am
NO_RADIUS = 1.20  # Å, where none is tabulated
RIGHT = 0.1  # degrees that an angle may differ from 90


@functools.cache
def ionic_radii() -> np.ndarray:
    """Return (MAX_Z + 1,) means of the ionic radii that pymatgen tabulates for each element, Å; 1.20 where none."""
    from pymatgen.core import Element

    radii = np.full(MAX_Z + 1, NO_RADIUS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every value that it does not have
        for z in range(1, MAX_Z + 1):
            known = [float(radius) for radius in Element.from_Z(z).ionic_radii.values()]
            radii[z] = np.mean(known) if known else NO_RADIUS
    return radii


def refusals(crystals: Crystals) -> list[str | None]:
    """Return why each crystal has no place in the box, None where it has."""
    angles = cell_parameters(crystals.cell)[1]
    reasons: list[str | None] = []
    for index, count in enumerate(crystals.counts.tolist()):
        heavy = sorted({int(z) for z in crystals.sites(index)[1] if z >= CLASSES})
        if not (np.abs(angles[index] - 90) < RIGHT).all():
            shown = ", ".join(f"{angle:.4g}" for angle in angles[index])
            reasons.append(f"angles of {shown} degrees; ICSG3D has right angles only")
        elif count > MOST_SITES:
            reasons.append(f"{count} sites; ICSG3D takes {MOST_SITES} at most")
        elif heavy:
            reasons.append(
                f"{', '.join(SYMBOLS[z] for z in heavy)}: ICSG3D has the elements up to {SYMBOLS[CLASSES - 1]}"
            )
        else:
            reasons.append(None)
    return reasons


def box_points(lengths: Tensor, n: int) -> Tensor:
    """Return the middles of the voxels along each axis, from the first atom's corner, (B, 3, n) Å."""
    steps = (torch.arange(n, device=lengths.device, dtype=lengths.dtype) + 0.5) / n
    return lengths[:, :, None] * ((1 + 2 * MARGIN) * steps - MARGIN)


def positions(batch: CrystalBatch) -> tuple[Tensor, Tensor]:
    """Return positions (B, S, 3) Å, moved so that the least coordinate along each axis is 0, and lengths (B, 3)."""
    lengths = batch.cell.norm(dim=2)
    least = torch.where(batch.mask[..., None], batch.frac, math.inf).amin(dim=1, keepdim=True)
    return (batch.frac - least) * lengths[:, None], lengths


def density(batch: CrystalBatch, radii: Tensor, n: int, sigma_fraction: float = 1.0) -> Tensor:
    """Return the density, (B, 1, n, n, n) in electrons per Å³ where Z stands for the electrons of an atom.

    :param radii: (MAX_Z + 1,) Å.
    """
    where, lengths = positions(batch)
    sigma = sigma_fraction * radii[batch.numbers]  # (B, S)
    apart = box_points(lengths, n)[:, None] - where[..., None]  # (B, S, 3, n)
    x, y, z = torch.exp(-0.5 * (apart / sigma[..., None, None]) ** 2).unbind(2)  # (B, S, n) each
    height = batch.numbers * (2 * math.pi) ** -1.5 / sigma**3
    plane = (height[..., None, None] * x[..., :, None] * y[..., None, :]).flatten(2)  # (B, S, n²)
    return torch.bmm(plane.transpose(1, 2), z).reshape(len(batch), 1, n, n, n)


def coordinates(lengths: Tensor, n: int) -> Tensor:
    """Return the coordinate channels, (B, 3, n, n, n) Å: from 0 in steps of 1.5 a / n, the lower edge of each voxel.

    :param lengths: (B, 3) Å.
    """
    steps = torch.arange(n, device=lengths.device, dtype=lengths.dtype) * (1 + 2 * MARGIN) / n
    x, y, z = (lengths[:, :, None] * steps).unbind(1)  # (B, n) each
    shape = (len(lengths), n, n, n)
    return torch.stack(
        [x[:, :, None, None].expand(shape), y[:, None, :, None].expand(shape), z[:, None, None].expand(shape)], dim=1
    )


def species_map(
    batch: CrystalBatch, radii: Tensor, n: int, sigma_fraction: float = 1.0, label_fraction: float = 1.0
) -> Tensor:
    """Return the atomic number of the closest site whose Gaussian's width reaches a voxel, (B, n, n, n), else 0."""
    where, lengths = positions(batch)
    points = box_points(lengths, n)
    nearest = torch.full((len(batch), n, n, n), math.inf, device=lengths.device)
    species = torch.zeros(nearest.shape, dtype=torch.long, device=lengths.device)
    for site in range(where.shape[1]):
        x, y, z = ((points - where[:, site, :, None]) ** 2).unbind(1)  # (B, n) each
        square = x[:, :, None, None] + y[:, None, :, None] + z[:, None, None]
        number = batch.numbers[:, site, None, None, None]
        reach = label_fraction * sigma_fraction * radii[batch.numbers[:, site]]
        mine = (square < reach[:, None, None, None] ** 2) & (square < nearest) & (number > 0)
        nearest, species = torch.where(mine, square, nearest), torch.where(mine, number, species)
    return species


def lengths_of(channels: Tensor, as_published: bool = False) -> Tensor:
    """Return the lengths of the cell, (B, 3) Å, from coordinate channels (B, 3, n, n, n).

    :param as_published: 1/n too short, as the published code has it.
    """
    n = channels.shape[-1]
    flat = channels.flatten(2)
    span = flat.amax(dim=2) - flat.amin(dim=2)
    lengths = span / (1 + 2 * MARGIN) / (1 - 1 / n)
    return lengths * (1 - 1 / n) if as_published else lengths


def quarter_turns(fields: Tensor, generator: torch.Generator) -> Tensor:
    """Return fields (B, C, n, n, n), each turned three times by 90 degrees about an axis drawn at random."""
    planes = ((2, 3), (2, 4), (3, 4))
    drawn = torch.randint(3, (len(fields), 3), generator=generator, device=fields.device).tolist()
    turned = []
    for field, axes in zip(fields.split(1), drawn, strict=True):
        for axis in axes:
            field = torch.rot90(field, 1, planes[axis])
        turned.append(field)
    return torch.cat(turned)


def fractional(voxel: np.ndarray, n: int) -> np.ndarray:
    """Return fractional coordinates, (R, 3) in [0, 1), of places in voxels (R, 3); whole numbers are their middles."""
    wrapped: np.ndarray = ((voxel + 0.5) * (1 + 2 * MARGIN) / n - MARGIN) % 1.0
    return wrapped
