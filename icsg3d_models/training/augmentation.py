"""Crystals that the data do not hold: other elements, origins, cells and displaced sites.

They are not physical. They teach a network to carry any composition and any neighbourhood through, which a few
thousand crystals do not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields.batches import CrystalBatch
from ..fields.grids import Grid, grid_sizes

DECORATED = 0.3  # share of crystals whose sites get elements one by one
PALETTE = 3  # different elements at most in such a crystal
REPEATED = 0.3  # share of batches whose crystals are repeated along a lattice vector
SHRUNK, STRETCHED = -0.1, 0.2  # logarithm of the scale, uniform: other bond lengths, and other points per Å
STRAIN_PER_RATTLE = 0.5  # 1/Å, standard deviation of the strain for the displacement that a crystal gets


def substitute_elements(numbers: Tensor, elements: list[int], rate: float, generator: torch.Generator) -> Tensor:
    """Replace, in a share of the crystals, every element by another one drawn at random.

    All sites of one element change together. The geometry stays, so the crystal is not a physical one; it
    teaches a network to carry any composition through, which a few thousand compositions do not.

    :param numbers: (B, S) atomic numbers, 0 for padding.
    :param rate: probability that an element of a crystal is replaced.
    """
    device = numbers.device
    pool = torch.tensor(elements, device=device)
    draw = pool[torch.randint(len(pool), (len(numbers), 119), generator=generator, device=device)]
    keep = torch.rand((len(numbers), 119), generator=generator, device=device) >= rate
    table = torch.where(keep, torch.arange(119, device=device).expand(len(numbers), -1), draw)
    return torch.where(numbers > 0, table.gather(1, numbers), numbers)


def decorated(numbers: Tensor, elements: list[int], generator: torch.Generator) -> Tensor:
    """Give the sites of a share of the crystals elements drawn one by one from a few, in place of their own.

    :param numbers: (B, S) atomic numbers, 0 for padding.
    """
    device, (size, sites) = numbers.device, numbers.shape
    pool = torch.tensor(elements, device=device)
    palette = pool[torch.randint(len(pool), (size, PALETTE), generator=generator, device=device)]
    drawn = palette.gather(1, torch.randint(PALETTE, (size, sites), generator=generator, device=device))
    chosen = torch.rand((size, 1), generator=generator, device=device) < DECORATED
    return torch.where(chosen & (numbers > 0), drawn, numbers)


def moved(batch: CrystalBatch, rattle: float, generator: torch.Generator) -> CrystalBatch:
    """Return the crystals with a random origin, displaced sites, and a scaled and strained cell.

    :param rattle: Å, largest standard deviation of the displacements; each crystal draws its own. 0: only the origin.
    """
    device, size = batch.cell.device, len(batch)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    level = rattle * uniform(size, 1, 1)
    displaced = batch.frac + level * normal(*batch.frac.shape) @ torch.linalg.inv(batch.cell)
    frac = (displaced + uniform(size, 1, 3)) % 1.0
    if rattle == 0:
        return CrystalBatch(batch.cell, frac, batch.numbers)
    strain = STRAIN_PER_RATTLE * level * normal(size, 3, 3)
    cell = batch.cell + batch.cell @ (0.5 * (strain + strain.transpose(1, 2)))
    scale = (SHRUNK + (STRETCHED - SHRUNK) * uniform(size, 1, 1)).exp()
    return CrystalBatch(scale * cell, frac, batch.numbers)


def repeated(batch: CrystalBatch, generator: torch.Generator) -> CrystalBatch:
    """Return the crystals, or in a share of the batches all of them repeated along one lattice vector.

    Displaced and decorated afterwards, they are larger crystals, on grids that the small ones do not have.
    """
    device = batch.cell.device
    if float(torch.rand(1, generator=generator, device=device)) >= REPEATED:
        return batch
    axis = int(torch.randint(3, (1,), generator=generator, device=device))
    step = torch.zeros(3, device=device)
    step[axis] = 1.0
    scale = 1.0 + step  # 2 along the axis
    frac = torch.cat([batch.frac, batch.frac + step], dim=1) / scale
    return CrystalBatch(batch.cell * scale[:, None], frac, batch.numbers.repeat(1, 2))


def varied(
    batch: CrystalBatch, elements: list[int], spacing: float, rattle: float, generator: torch.Generator
) -> tuple[CrystalBatch, Grid]:
    """Return the crystals repeated, moved and decorated, and the grid that is fine enough for all of them.

    See :func:`repeated`, :func:`moved` and :func:`decorated`. The grid is that of the cells before they are scaled,
    so that the networks meet spacings on both sides of the nominal one.
    """
    large = repeated(batch, generator)
    nx, ny, nz = grid_sizes(large.cell, 0, spacing).amax(dim=0).tolist()
    other = moved(large, rattle, generator)
    return CrystalBatch(other.cell, other.frac, decorated(other.numbers, elements, generator)), (nx, ny, nz)
