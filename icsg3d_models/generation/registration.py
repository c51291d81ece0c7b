"""The setting of a crystal that a model understands best.

A crystal has no preferred origin, axes or cell, a field on a grid over a cell has all three. Among equivalent
settings of the reduced cell (every site as origin; every order and
direction of the axes) the one is taken that the model encodes and decodes with the least error, and its origin is
then moved downhill in that error. So a model trained in one setting takes crystals in any other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..crystals.batch import Crystals
from ..crystals.cells import reduce_cell, settings_of
from ..fields.batches import CrystalBatch, to_batch
from ..fields.grids import same_grids
from ..fields.occupancy import occupancy_field
from ..networks.generator import Autoencoder

ORIGIN_STEPS = 24
ORIGIN_STEP = 0.003  # of the cell, a tenth of what a displaced perovskite needs


@torch.no_grad()
def errors_of(vae: Autoencoder, batch: CrystalBatch, spacing: float | None = None, size: int = 64) -> Tensor:
    """Return the reconstruction errors of many crystals, (B,), a few at a time.

    :param spacing: Å, from point to point, where the grid follows the cell; None: that of training.
    """
    errors = torch.zeros(len(batch), device=batch.cell.device)
    for grid, rows in same_grids(vae.grid_of(batch.cell, spacing)):
        for some in rows.split(size):
            errors[some] = vae.reconstruction_error(batch.take(some).trimmed(), grid)
    return errors


@torch.no_grad()
def explained_of(vae: Autoencoder, batch: CrystalBatch, spacing: float | None = None) -> Tensor:
    """Return how much of its occupancy field the model gives back of each crystal, (B,).

    It is 1 - sum (decoded - true)^2 / sum true^2: 1 where all comes back, 0 where a field of zeros would do as well.
    Crystals of the kinds of its training have more than 0.97, of others less than 0.5 on the grids of ``perov5``.

    :param spacing: as in :func:`errors_of`.
    """
    explained = torch.zeros(len(batch), device=batch.cell.device)
    for grid, rows in same_grids(vae.grid_of(batch.cell, spacing)):
        for row in rows:
            one = batch.take(row[None]).trimmed()
            true = occupancy_field(one, grid)
            decoded = vae.decode_fields(vae.encode(one, grid)[0], one.cell).occupancy
            explained[row] = 1 - (decoded - true).square().sum() / true.square().sum()
    return explained


def refine_origin(vae: Autoencoder, batch: CrystalBatch) -> Tensor:
    """Return the shift of each crystal, (B, 1, 3) in fractional coordinates, that lowers its error the most.

    A site of the training crystals is at the origin only on average; the few hundredths of an Å are found by
    gradient descent on the shift alone, keeping the best one met.
    """
    shift = torch.zeros(len(batch), 1, 3, device=batch.cell.device, requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=ORIGIN_STEP, betas=(0.5, 0.9))
    best, lowest = torch.zeros_like(shift), torch.full((len(batch),), torch.inf, device=batch.cell.device)
    nx, ny, nz = vae.grid_of(batch.cell)[0].tolist()
    for _ in range(ORIGIN_STEPS):
        error = vae.reconstruction_error(CrystalBatch(batch.cell, batch.frac + shift, batch.numbers), (nx, ny, nz))
        better = error.detach() < lowest
        best = torch.where(better[:, None, None], shift.detach(), best)
        lowest = torch.where(better, error.detach(), lowest)
        optimiser.zero_grad()
        error.sum().backward()
        optimiser.step()
    return best


def register(vae: Autoencoder, crystals: Crystals, device: torch.device) -> tuple[Crystals, np.ndarray]:
    """Return the crystals in the setting with the least reconstruction error, and that error, (B,).

    :param vae: one that has every crystal on the same grid.
    :raises CrystalError: a cell without a reduced form.
    """
    cells, fracs, numbers = [], [], []
    vae.requires_grad_(False)
    for index, name in enumerate(crystals.ids):
        cell, frac, z = reduce_cell(crystals.cell[index], *crystals.sites(index), name)
        candidates, moved = settings_of(cell, frac)
        ids = [f"{name}-{i}" for i in range(len(candidates))]
        batch = to_batch(Crystals.from_arrays(list(candidates), list(moved), [z] * len(candidates), ids)).to(device)
        best = int(errors_of(vae, batch).argmin())
        cells.append(candidates[best])
        fracs.append(moved[best])
        numbers.append(z)
    batch = to_batch(Crystals.from_arrays(cells, fracs, numbers, crystals.ids)).to(device)
    shifts = torch.cat([refine_origin(vae, batch.take(some)) for some in torch.arange(len(batch)).split(256)])
    fracs = [frac + shift for frac, shift in zip(fracs, shifts.cpu().numpy(), strict=True)]
    registered = Crystals.from_arrays(cells, fracs, numbers, crystals.ids)
    return registered, errors_of(vae, to_batch(registered).to(device)).cpu().numpy()
