"""One crystal as it is read, before it becomes part of a batch, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..crystals.batch import CrystalError


@dataclass(frozen=True)
class Crystal:
    """One crystal: cell (3, 3) in Å with rows as vectors, frac (n, 3), numbers (n,).

    :param note: what was assumed in reading it, empty where nothing was.
    """

    cell: np.ndarray
    frac: np.ndarray
    numbers: np.ndarray
    note: str = ""


@dataclass(frozen=True)
class Refused:
    """A crystal that was found and cannot be used, with the reason."""

    reason: str


def cell_from_parameters(a: float, b: float, c: float, alpha: float, beta: float, gamma: float) -> np.ndarray:
    """Return the (3, 3) cell with a in the xz plane and c along z, as pymatgen sets it.

    :param a, b, c: Å.
    :param alpha, beta, gamma: degrees.
    :raises CrystalError: no cell has these lengths and angles.
    """
    cosines = np.cos(np.radians([alpha, beta, gamma]))
    sines = np.sin(np.radians([alpha, beta, gamma]))
    if min(a, b, c) <= 0 or min(abs(sines[0]), abs(sines[1])) < 1e-6:
        raise CrystalError(f"singular cell: lengths {a:g}, {b:g}, {c:g} Å, angles {alpha:g}, {beta:g}, {gamma:g}°")
    # the cosine of the angle between a* and b*
    star = (cosines[0] * cosines[1] - cosines[2]) / (sines[0] * sines[1])
    if abs(star) >= 1:
        raise CrystalError(f"singular cell: no cell has the angles {alpha:g}, {beta:g}, {gamma:g}°")
    return np.array([
        [a * sines[1], 0.0, a * cosines[1]],
        [-b * sines[0] * star, b * sines[0] * np.sqrt(1 - star**2), b * cosines[0]],
        [0.0, 0.0, c],
    ])  # fmt: skip


def check_crystal(crystal: Crystal) -> None:
    """Refuse a crystal without sites, with values that are not finite, or with a singular cell.

    :raises CrystalError: with the reason.
    """
    if len(crystal.numbers) == 0:
        raise CrystalError("no sites; a crystal needs at least one atom")
    if not np.isfinite(crystal.cell).all() or not np.isfinite(crystal.frac).all():
        raise CrystalError("the cell or the coordinates hold NaN or infinity")
    volume = abs(np.linalg.det(crystal.cell))
    if volume < 1e-3:
        raise CrystalError(f"singular cell, volume {volume:.3g} Å³")
    if np.min(crystal.numbers) < 1:
        raise CrystalError("a dummy species (X) in place of a chemical element")
