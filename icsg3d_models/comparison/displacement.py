"""Does a crystal have the pair distances of another, but for what StructureMatcher forgives?

How far distances differ says little about how far sites must move: one site off by 0.3 and all sites off by
0.1 change the lists alike. So the sites and the cell of the crystal are moved until its lists are the other's
(least squares, Levenberg-Marquardt, from several starts because sorting makes many minima), and what that took
is held against StructureMatcher's limits: the farthest displacement, the lengths and the angles of the cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .matching import ANGLE_TOL, LTOL, STOL
from .pair_distances import REACH, Separations

# Root mean square difference of lists that are the same, in units of (V/N)^(1/3): the best, and the smallest, of
# 0.03, 0.035, 0.04, 0.045 and 0.05 on half of Perov-5 (benchmarks/quality/novelty_agreement.py, --half development).
# The lists of a fingerprint are rounded to 0.013.
TOLERANCE = 0.03
# Lists that differ more cannot be brought together by forgivable displacements and are not tried. Of 700 perovskites
# with every site displaced by up to 0.35 and cells strained by up to 20 %, the 337 that are the same differ by 0.199
# at most, and of 600 pairs of generated crystals and those of their formula the 278 that are the same by 0.16.
FAR = 0.25
STARTS = 16
AT_ONCE = [1]  # where the starts are cut into those that go side by side
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
    starts = np.stack([rng.normal(0, JITTER[i % len(JITTER)], (crystal.sites, 3)).T for i in range(STARTS)])
    # what is the same mostly shows at once; the other starts go side by side
    for some in np.split(starts, AT_ONCE):
        residual, moved, deformation = _fit(crystal, lists, some, tolerance / 4)
        farthest = np.linalg.norm(moved - moved.mean(axis=2, keepdims=True), axis=1).max(axis=1)
        for index in np.flatnonzero((residual < tolerance) & (farthest <= STOL)):
            if _same_cell(crystal.cell, crystal.cell @ deformation[index]):
                return True
    return False


@dataclass
class _Trials:
    """S ways to move a crystal, and what the lists are after the move.

    :param moved: (S, 3, N) displacements.
    :param strain: (S, 6) strains.
    :param chosen: (S, D) which vectors of the crystal the lists hold; -1: none left within reach.
    :param vectors: (S, 3, D) these vectors, from site to site.
    :param distance: (S, D) their lengths, at most the reach.
    :param rest: (S, D) difference from the other crystal's lists.
    :param error: (S,) sum of its squares.
    """

    moved: np.ndarray
    strain: np.ndarray
    chosen: np.ndarray
    vectors: np.ndarray
    distance: np.ndarray
    rest: np.ndarray
    error: np.ndarray

    def take(self, indices: np.ndarray) -> _Trials:
        """Return some of them."""
        return _Trials(*(getattr(self, name)[indices] for name in _FIELDS))

    def put(self, indices: np.ndarray, others: _Trials) -> None:
        """Replace some of them."""
        for name in _FIELDS:
            getattr(self, name)[indices] = getattr(others, name)


_FIELDS = ("moved", "strain", "chosen", "vectors", "distance", "rest", "error")


def _fit(
    crystal: Separations, lists: np.ndarray, moved: np.ndarray, enough: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what is left of the differences (S,), the displacements (S, 3, N) and deformations (S, 3, 3) found.

    :param moved: (S, 3, N) displacements to start from.
    """
    count, sites = len(moved), crystal.sites
    best = _evaluate(crystal, lists, moved.copy(), np.zeros((count, 6)))
    damping = np.full(count, 1e-2)
    active = np.arange(count)
    for _ in range(STEPS):
        now = best.take(active)
        slope = _slope(crystal, now)  # (S, 3N + 6, D)
        normal = slope @ slope.transpose(0, 2, 1)
        normal[:, range(slope.shape[1]), range(slope.shape[1])] += damping[active, None]
        step = -np.linalg.solve(normal, slope @ now.rest[:, :, None])[:, :, 0]
        trial = _evaluate(crystal, lists, now.moved + step[:, :-6].reshape(-1, 3, sites), now.strain + step[:, -6:])
        gain = now.error - trial.error
        better = gain > 0
        best.put(active[better], trial.take(better))
        eased, stiffened = np.maximum(damping[active] / 4, 1e-3), damping[active] * 6
        damping[active] = np.where(better, eased, stiffened)
        finished = np.where(better, gain < 1e-4 * now.error, stiffened > 1e3)
        active = active[~finished & (np.sqrt(best.error[active] / len(lists)) >= enough)]
        if len(active) == 0:
            break
    return np.sqrt(best.error / len(lists)), best.moved, np.eye(3) + _strains(best.strain)


def _strains(strain: np.ndarray) -> np.ndarray:
    """Return strains (S, 6) as symmetric matrices (S, 3, 3)."""
    matrix = np.zeros((len(strain), 3, 3))
    matrix[:, _ROW, _COLUMN] = strain
    matrix[:, _COLUMN, _ROW] = strain
    return matrix


def _evaluate(crystal: Separations, lists: np.ndarray, moved: np.ndarray, strain: np.ndarray) -> _Trials:
    """Return what the lists are after the moves."""
    # A vector after the move is v + v·ε + (end moved) - (beginning moved): one product for all of them.
    change = np.concatenate([moved, _strains(strain)], axis=2)  # (S, 3, N + 3), ε is symmetric
    vectors = change @ crystal.levers  # (S, 3, P)
    vectors += crystal.vectors.T
    squares = np.einsum("scp,scp->sp", vectors, vectors)
    chosen = crystal.nearest(squares)
    held = np.take_along_axis(vectors, chosen[:, None], axis=2)
    distance = np.minimum(np.sqrt(np.take_along_axis(squares, chosen, axis=1)), REACH)
    distance[chosen < 0] = REACH
    rest = distance - lists
    return _Trials(moved, strain, chosen, held, distance, rest, np.einsum("sd,sd->s", rest, rest))


def _slope(crystal: Separations, trials: _Trials) -> np.ndarray:
    """Return the derivatives (S, 3N + 6, D) of the lists; zero for what lies beyond the reach."""
    count, length = trials.chosen.shape
    unit = trials.vectors / np.maximum(trials.distance, 1e-6)[:, None]
    unit *= (trials.distance < REACH)[:, None]  # what the lists lack has the reach for a distance
    levers = crystal.levers[:, trials.chosen].transpose(1, 0, 2)  # (S, N + 3, D)
    ends, origin = levers[:, :-3], levers[:, -3:]
    slope = np.empty((count, 3 * crystal.sites + 6, length))
    np.multiply(unit[:, :, None], ends[:, None], out=slope[:, :-6].reshape(count, 3, crystal.sites, length))
    slope[:, -6:] = unit[:, _ROW] * origin[:, _COLUMN]
    slope[:, -3:] += unit[:, _COLUMN[3:]] * origin[:, _ROW[3:]]
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
