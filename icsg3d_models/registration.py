"""The setting of a crystal that a model understands best.

A crystal has no preferred origin, axes or cell, a field on a grid over a cell has all three. Among equivalent
settings of the reduced cell (every site as origin; every order and
direction of the axes) the one is taken that the model encodes and decodes with the least error. So a
model trained in one setting takes crystals in any other.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import torch
from torch import Tensor

from .crystals import CrystalError, Crystals
from .encoding import encode, standardised_lattice
from .fields.batches import CrystalBatch, to_batch
from .fields.occupancy import occupancy_field, species_field
from .networks.vae import VAE

MAX_SETTINGS = 4096  # of one crystal; more than that are thinned evenly
SYMPREC = 0.01  # Å, for the reduction to a primitive cell


def axis_settings() -> np.ndarray:
    """Return the 24 proper signed permutations of the axes, (24, 3, 3)."""
    matrices = []
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            matrix = np.zeros((3, 3), dtype=int)
            matrix[range(3), order] = signs
            if round(np.linalg.det(matrix)) == 1:
                matrices.append(matrix)
    return np.array(matrices)


def reduce_cell(
    cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the primitive crystal in its Niggli-reduced cell.

    :raises CrystalError: spglib finds no lattice in it.
    """
    import spglib

    primitive = spglib.find_primitive((cell, frac, numbers), symprec=SYMPREC)
    if primitive is not None:
        cell, frac, numbers = primitive
    reduced = spglib.niggli_reduce(cell)
    if reduced is None:
        raise CrystalError(f"{name}: the cell has no reduced form; is it singular?")
    return reduced, (frac @ cell @ np.linalg.inv(reduced)) % 1.0, np.asarray(numbers)


def settings_of(cell: np.ndarray, frac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return equivalent cells (M, 3, 3) and fractional coordinates (M, n, 3) of one crystal.

    The new axes are ``R @ cell``; a row vector transforms as ``frac @ R^-1``, and R^-1 = R^T.
    """
    rotations = axis_settings()
    origins = [frac[i] for i in range(len(frac))]
    moved = np.array([(frac - origin) @ rotation.T for rotation in rotations for origin in origins]) % 1.0
    cells = np.repeat(np.array([rotation @ cell for rotation in rotations]), len(origins), axis=0)
    if len(moved) > MAX_SETTINGS:
        chosen = np.linspace(0, len(moved) - 1, MAX_SETTINGS).astype(int)
        moved, cells = moved[chosen], cells[chosen]
    return cells, moved


@torch.no_grad()
def reconstruction_error(vae: VAE, batch: CrystalBatch, size: int = 256) -> Tensor:
    """Return the squared error of the decoded fields and lattice of each crystal, (B,)."""
    n = vae.config.grid
    pieces = []
    for rows in torch.arange(len(batch)).split(size):
        some = batch.take(rows.to(batch.cell.device))
        occupancy, species = occupancy_field(some, n), species_field(some, n // 2)
        lattice = standardised_lattice(vae, some.cell)
        out = vae.decode(encode(vae, some)[0])
        errors = [((a - b) ** 2).flatten(1).sum(dim=1) for a, b in zip(out, (occupancy, species, lattice), strict=True)]
        pieces.append(errors[0] + errors[1] + errors[2])
    return torch.cat(pieces)


def register(vae: VAE, crystals: Crystals, device: torch.device) -> tuple[Crystals, np.ndarray]:
    """Return the crystals in the setting with the least reconstruction error, and that error, (B,).

    :raises CrystalError: a cell without a reduced form.
    """
    cells, fracs, numbers, errors = [], [], [], []
    for index, name in enumerate(crystals.ids):
        cell, frac, z = reduce_cell(crystals.cell[index], *crystals.sites(index), name)
        candidates, moved = settings_of(cell, frac)
        ids = [f"{name}-{i}" for i in range(len(candidates))]
        batch = to_batch(Crystals.from_arrays(candidates, moved, [z] * len(candidates), ids)).to(device)
        error = reconstruction_error(vae, batch)
        best = int(error.argmin())
        cells.append(candidates[best])
        fracs.append(moved[best])
        numbers.append(z)
        errors.append(float(error[best]))
    return Crystals.from_arrays(cells, fracs, numbers, crystals.ids), np.array(errors)
