"""The two fields of a crystal: where atoms are (occupancy) and what they are (species channels).

Occupancy is a sum of narrow Gaussians of height 1. Species channels carry a fixed code of the element, spread as
wider Gaussians on a grid half as fine: a sharp position and a smooth identity. A Z-weighted density, as ICSG3D
uses, has to encode both in one number and loses the species at 2 % of noise.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ..crystals.elements import MAX_Z, code_table
from .batches import CrystalBatch
from .density import gaussian_density, peak_height
from .grids import Grid

OCCUPANCY_SIGMA = 0.45  # Å: peaks of neighbours 1 Å apart still separate, and 0.3 Å of spacing resolves it
SPECIES_SIGMA = 0.70  # Å: resolved by half the grid, and small (2 %) at the next neighbour 2 Å away


@lru_cache(maxsize=4)
def element_codes(device: str = "cpu") -> Tensor:
    """Return the (MAX_Z + 1, K) codes of the elements as a tensor; the row of "no atom" is zero."""
    table = torch.tensor(code_table(), dtype=torch.float32, device=device)
    assert table.shape[0] == MAX_Z + 1
    return table


def occupancy_field(batch: CrystalBatch, grid: Grid, sigma: float = OCCUPANCY_SIGMA) -> Tensor:
    """Return the occupancy, (B, 1, nx, ny, nz): 1 at an isolated site, overlapping Gaussians add up."""
    weights = batch.mask.float().unsqueeze(-1) / peak_height(sigma)
    return gaussian_density(batch.cell, batch.frac, weights, grid, sigma)


def species_field(batch: CrystalBatch, grid: Grid, sigma: float = SPECIES_SIGMA) -> Tensor:
    """Return the species channels, (B, K, nx, ny, nz): each site spreads the code of its element."""
    weights = element_codes(str(batch.cell.device))[batch.numbers] / peak_height(sigma)
    return gaussian_density(batch.cell, batch.frac, weights, grid, sigma)
