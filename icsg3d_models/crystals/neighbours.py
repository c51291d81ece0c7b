"""Neighbour lists of a batch of crystals, for any cell, in plain numpy.

Every pair of sites is compared in every image that can lie within the cut-off, so nothing depends on how
the cell was chosen. Crystals are small; many of them go through one vectorised pass.

Why not vesin: both find the same pairs, but vesin takes one crystal at a time. Of 1,000 perovskites (cut-off 5 Å) a
batch takes 0.05 ms a crystal and vesin 0.15, at 0.5 Å 0.01 and 0.22, in cells sheared out of shape 0.3 and 4. At
200 sites vesin's cell list wins, 0.6 against 8 ms; crystals of that size are rare here
(`python benchmarks/speed/neighbours.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .batch import Crystals

_CHUNK = 2_000_000  # candidate pairs compared at once: 16 MB an array
_MANY_IMAGES = 1000  # a cell that needs more is reduced first: it is very oblique or very flat


@dataclass(frozen=True)
class Neighbours:
    """All ordered pairs of sites within a cut-off, periodic images included.

    :param source: (E,) int64, the site whose neighbour is meant.
    :param target: (E,) int64, the site that the neighbour is an image of.
    :param distance: (E,) float64, Å.
    :param offsets: (B + 1,) int64; crystal ``b`` owns the pairs ``offsets[b]:offsets[b + 1]``.
    """

    source: np.ndarray
    target: np.ndarray
    distance: np.ndarray
    offsets: np.ndarray


def plane_spacings(cell: np.ndarray) -> np.ndarray:
    """Return the distances between lattice planes, (B, 3) in Å, of cells (B, 3, 3)."""
    return 1 / np.linalg.norm(np.linalg.inv(cell), axis=1)


def neighbour_list(crystals: Crystals, cutoff: float) -> Neighbours:
    """Find all neighbours of every site of a batch.

    :param crystals: B crystals with finite, non-singular cells.
    :param cutoff: Å.
    """
    frac, cell = _compact(crystals, cutoff)
    reach = _reach(cell, cutoff)
    counts, offsets = crystals.counts, crystals.offsets
    pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    groups, member = np.unique(reach, axis=0, return_inverse=True)
    for index, limits in enumerate(groups):
        images = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in limits), indexing="ij"), -1).reshape(-1, 3)
        mine = np.flatnonzero(member.ravel() == index)
        for chosen in _chunks(mine, counts[mine] ** 2 * len(images)):
            # all ordered pairs of sites of each chosen crystal: P pairs
            n = counts[chosen]
            owner = np.repeat(chosen, n**2)
            local = np.arange(len(owner)) - np.repeat(np.cumsum(n**2) - n**2, n**2)
            first = offsets[owner] + local // counts[owner]
            second = offsets[owner] + local % counts[owner]
            difference = frac[second] - frac[first]
            difference -= np.rint(difference)
            vector = np.einsum("pi,pij->pj", difference, cell[owner])  # (P, 3)
            slab = max(1, _CHUNK // max(len(owner), 1))
            for start in range(0, len(images), slab):
                part = images[start : start + slab]
                shift = np.einsum("mi,bij->bmj", part, cell[chosen])  # (b, M, 3)
                which = np.repeat(np.arange(len(chosen)), n**2)
                square = np.zeros((len(owner), len(part)))
                for axis in range(3):
                    component = vector[:, axis, None] + shift[which, :, axis]
                    square += component * component
                square[np.ix_(first == second, ~part.any(axis=1))] = np.inf  # a site is not its own neighbour
                pair, image = np.nonzero(square < cutoff**2)
                pieces.append((owner[pair], first[pair], second[pair], np.sqrt(square[pair, image])))
    owner, source, target, distance = (
        (np.concatenate(parts) for parts in zip(*pieces, strict=True))
        if pieces
        else (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    )
    order = np.argsort(owner, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(crystals)))])
    return Neighbours(source[order], target[order], distance[order], ends.astype(np.int64))


def nearest_neighbours(found: Neighbours, count: int) -> Neighbours:
    """Return of each site its nearest neighbours, ``count`` at most, site by site; of equal ones those listed first."""
    order = np.lexsort((np.round(found.distance, 6), found.source))
    source = found.source[order]
    first = np.searchsorted(source, source)  # where the pairs of each site begin
    kept = order[np.arange(len(order)) - first < count]
    ends = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))[kept]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=len(found.offsets) - 1))])
    return Neighbours(found.source[kept], found.target[kept], found.distance[kept], offsets.astype(np.int64))


def closest_distances(crystals: Crystals, cutoff: float) -> np.ndarray:
    """Return the shortest distance in each crystal, (B,) in Å; infinity where none is below the cut-off."""
    found = neighbour_list(crystals, cutoff)
    shortest = np.full(len(crystals), np.inf)
    np.minimum.at(shortest, crystals.owner[found.source], found.distance)
    return shortest


def _reach(cell: np.ndarray, cutoff: float) -> np.ndarray:
    """Return how many images to look at along each vector, (B, 3), once differences lie in [-1/2, 1/2]."""
    return np.floor(cutoff / plane_spacings(cell) + 0.5 + 1e-9).astype(np.int64)


def _compact(crystals: Crystals, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Return fractional coordinates and cells with very oblique cells replaced by their LLL-reduced ones."""
    frac, cell = crystals.frac, crystals.cell
    oblique = np.flatnonzero(np.prod(2 * _reach(cell, cutoff) + 1, axis=1) > _MANY_IMAGES)
    if len(oblique) == 0:
        return frac, cell
    from pymatgen.core import Lattice

    frac, cell = frac.copy(), cell.copy()
    for index in oblique:
        span = slice(crystals.offsets[index], crystals.offsets[index + 1])
        reduced = Lattice(cell[index]).get_lll_reduced_lattice().matrix
        frac[span] = frac[span] @ cell[index] @ np.linalg.inv(reduced)
        cell[index] = reduced
    return frac, cell


def _chunks(indices: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield consecutive groups of ``indices`` whose ``sizes`` add up to about ``_CHUNK``."""
    group = np.concatenate([[0], np.cumsum(sizes)[:-1] // _CHUNK]) if len(sizes) else sizes
    for value in np.unique(group):
        yield indices[group == value]
