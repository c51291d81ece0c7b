"""Crystals that the data do not hold: other elements, origins, cells and displaced sites.

They are not physical. They teach a network to carry any composition and any neighbourhood through, which a few
thousand crystals do not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..fields.batches import CrystalBatch

DECORATED = 0.3  # share of crystals whose sites get elements one by one
PALETTE = 3  # different elements at most in such a crystal
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


def varied(batch: CrystalBatch, elements: list[int], rattle: float, generator: torch.Generator) -> CrystalBatch:
    """Return the crystals moved and decorated; see :func:`moved` and :func:`decorated`."""
    other = moved(batch, rattle, generator)
    return CrystalBatch(other.cell, other.frac, decorated(other.numbers, elements, generator))
