"""Other cells of the same crystal: reduced, primitive, with its axes in another order."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np

from .batch import CrystalError, Crystals

MAX_SETTINGS = 4096  # of one crystal; more than that are thinned evenly
SYMPREC = 0.01  # Å, for the reduction to a primitive cell


def reduced_cells(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Niggli-reduced cells and the integer matrices M with ``reduced = M @ cell``, both (B, 3, 3).

    A cell that cannot be reduced (flat, or not finite) is returned as it is.
    """
    import spglib

    change = np.tile(np.eye(3), (len(cells), 1, 1))
    for index in np.flatnonzero(np.abs(np.linalg.det(cells)) > 1e-3):
        cell = cells[index]
        reduced = spglib.niggli_reduce(cell, eps=1e-6)
        if reduced is not None:
            change[index] = np.round(reduced @ np.linalg.inv(cell))
    return change @ cells, change


def reduce_cell(
    cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the primitive crystal in its Niggli-reduced cell.

    :raises CrystalError: spglib finds no lattice in it.
    """
    import spglib

    crystal: Any = (cell, frac, numbers)
    cell, frac, numbers = map(np.asarray, spglib.find_primitive(crystal, symprec=SYMPREC) or crystal)
    reduced = spglib.niggli_reduce(cell)
    if reduced is None:
        raise CrystalError(f"{name}: the cell has no reduced form; is it singular?")
    return reduced, (frac @ cell @ np.linalg.inv(reduced)) % 1.0, np.asarray(numbers)


def cell_parameters(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lengths a, b, c in Å and angles α, β, γ in degrees, (B, 3) each, of cells (B, 3, 3).

    A cell that is flat to a point or not finite has no angles, NaN.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.linalg.norm(cell, axis=2)
        unit = cell / lengths[:, :, None]
        cosines = np.stack([(unit[:, i] * unit[:, j]).sum(axis=1) for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)
        return lengths, np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))


def primitive_sites(crystals: Crystals, index: int, tolerance: float = SYMPREC) -> int:
    """Return how many atoms the primitive cell of one crystal has; as many as given where spglib finds none.

    :param tolerance: Å.
    """
    import spglib

    frac, numbers = crystals.sites(index)
    crystal: Any = (crystals.cell[index], frac, numbers)
    found = spglib.find_primitive(crystal, symprec=tolerance)
    return len(numbers) if found is None else len(found[2])


def reduced_crystals(crystals: Crystals) -> Crystals:
    """Return the primitive crystals in their reduced cells: the smallest grids, and as little shear as can be.

    :raises CrystalError: a cell without a reduced form.
    """
    found = [reduce_cell(crystals.cell[i], *crystals.sites(i), name) for i, name in enumerate(crystals.ids)]
    cells, fracs, numbers = (list(column) for column in zip(*found, strict=True))
    return Crystals.from_arrays(cells, fracs, numbers, crystals.ids)


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
