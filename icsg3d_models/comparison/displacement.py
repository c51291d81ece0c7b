"""Does a crystal have the pair distances of another, but for what StructureMatcher forgives?

How far distances differ says little about how far sites must move: one site off by 0.3 and all sites off by
0.1 change the lists alike. So the sites and the cell of the crystal are moved until its lists are the other's
(least squares, Levenberg-Marquardt, from several starts because sorting makes many minima), and what that took
is held against StructureMatcher's limits: the farthest displacement, the lengths and the angles of the cell.
"""

from __future__ import annotations

import numpy as np

from .matching import ANGLE_TOL, LTOL, STOL
from .pair_distances import REACH, Separations

# Root mean square difference of lists that are the same, in units of (V/N)^(1/3): the best, and the smallest, of
# 0.03, 0.035, 0.04, 0.045 and 0.05 on half of Perov-5 (benchmarks/quality/novelty_agreement.py, --half development).
# The lists of a fingerprint are rounded to 0.013.
TOLERANCE = 0.03
FAR = 0.4  # lists that differ more cannot be brought together by forgivable displacements: not tried
STARTS = 16
STEPS = 25
JITTER = (0.01, 0.06, 0.11, 0.16)  # displacements (standard deviation) to start from, in turn
# rows and columns of the six strains: xx, yy, zz, xy, xz, yz
_ROW, _COLUMN = np.array([0, 1, 2, 0, 0, 1]), np.array([0, 1, 2, 1, 2, 2])


def same_crystal(crystal: Separations, lists: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    """Tell whether the crystal is, within StructureMatcher's tolerances, the one that has these lists.

    :param crystal: of the same composition and number of sites in the primitive cell.
    :param lists: sorted distances of the other crystal, as :meth:`Separations.lists` returns them.
    :param tolerance: root mean square difference of lists that are taken for the same.
    """
    if np.sqrt(np.mean((crystal.lists() - lists) ** 2)) > FAR:
        return False
    rng = np.random.default_rng(0)  # the same answer every time
    for start in range(STARTS):
        moved = rng.normal(0, JITTER[start % len(JITTER)], (crystal.sites, 3))
        residual, moved, strain = _fit(crystal, lists, moved, tolerance / 4)
        farthest = np.linalg.norm(moved - moved.mean(axis=0), axis=1).max()
        if residual < tolerance and farthest <= STOL and _same_cell(crystal.cell, crystal.cell @ strain):
            return True
    return False


def _fit(
    crystal: Separations, lists: np.ndarray, moved: np.ndarray, enough: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return what is left of the difference, the displacements (N, 3) and the deformation (3, 3) found."""
    strain, damping = np.zeros(6), 1e-2
    vectors, distance, chosen, rest = _evaluate(crystal, lists, moved, strain)
    for _ in range(STEPS):
        slope = _slope(crystal, vectors, distance, chosen)
        normal = slope.T @ slope + damping * np.eye(slope.shape[1])
        step = -np.linalg.solve(normal, slope.T @ rest)
        trial = (moved + step[:-6].reshape(-1, 3), strain + step[-6:])
        found = _evaluate(crystal, lists, *trial)
        gain = rest @ rest - found[3] @ found[3]
        if gain > 0:
            finished = gain < 1e-4 * (rest @ rest)
            (moved, strain), (vectors, distance, chosen, rest) = trial, found
            damping = max(damping / 4, 1e-3)
        else:
            damping *= 6
            finished = damping > 1e3
        if finished or np.sqrt(np.mean(rest**2)) < enough:
            break
    return float(np.sqrt(np.mean(rest**2))), moved, _deformation(strain)


def _deformation(strain: np.ndarray) -> np.ndarray:
    """Return the symmetric deformation (3, 3) of six strains."""
    matrix = np.eye(3)
    matrix[_ROW, _COLUMN] += strain
    matrix[_COLUMN[3:], _ROW[3:]] += strain[3:]
    return matrix


def _evaluate(
    crystal: Separations, lists: np.ndarray, moved: np.ndarray, strain: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors (P, 3) and distances (P,) after the move, those in the lists (D,), and the differences (D,)."""
    vectors = crystal.vectors @ _deformation(strain) + moved[crystal.second] - moved[crystal.first]
    distance = np.linalg.norm(vectors, axis=1)
    chosen = crystal.nearest(distance)
    return vectors, distance, chosen, np.minimum(np.append(distance, REACH)[chosen], REACH) - lists


def _slope(crystal: Separations, vectors: np.ndarray, distance: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the derivatives (D, 3N + 6) of the lists; zero for what lies beyond the reach."""
    slope = np.zeros((len(chosen), 3 * crystal.sites + 6))
    row = np.flatnonzero((chosen >= 0) & (np.append(distance, REACH)[chosen] < REACH))
    pair = chosen[row]
    unit = vectors[pair] / np.maximum(distance[pair], 1e-6)[:, None]
    for axis in range(3):
        slope[row, 3 * crystal.second[pair] + axis] += unit[:, axis]
        slope[row, 3 * crystal.first[pair] + axis] -= unit[:, axis]
    origin = crystal.vectors[pair]
    product = unit[:, _ROW] * origin[:, _COLUMN]
    product[:, 3:] += unit[:, _COLUMN[3:]] * origin[:, _ROW[3:]]
    slope[row, -6:] = product
    return slope


def _same_cell(one: np.ndarray, other: np.ndarray) -> bool:
    """Tell whether lengths and angles of two cells agree as StructureMatcher asks."""
    lengths, angles = zip(*(_shape(cell) for cell in (one, other)), strict=True)
    ratio = lengths[0] / lengths[1]
    agree = (ratio < 1 + LTOL) & (ratio > 1 / (1 + LTOL)) & (np.abs(angles[0] - angles[1]) < ANGLE_TOL)
    return bool(agree.all())


def _shape(cell: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return lengths (3,) and angles (3,) in degrees of a cell."""
    lengths = np.linalg.norm(cell, axis=1)
    unit = cell / lengths[:, None]
    cosines = np.array([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]])
    return lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))
