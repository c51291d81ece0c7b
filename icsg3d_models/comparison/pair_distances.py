"""Distances between the sites of a crystal, by pair of species: what a fingerprint keeps of a crystal.

Lengths are divided by (V/N)^(1/3), as pymatgen's StructureMatcher does with ``scale=True``. For every pair of
species the distances of the primitive cell are sorted in one list, whichever sites they are between, so the
lists depend on neither the cell, orientation and origin nor on the order of the sites. They belong to the
family of invariants of Widdowson et al. (Average Minimum Distances, 2022, 10.46793/match.87-3.529W).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np
from pymatgen.core import Structure

from ..crystals.neighbours import plane_spacings

REACH = 3.2  # longest distance that is told from a longer one, in units of (V/N)^(1/3)
NEIGHBOURS = 30  # per site, over all species: so many lie within 1.9
OWN = 6  # more between sites of one species: they tell the angles of the cell
_MARGIN = 0.8  # distances kept beyond the reach, for sites that move


def list_lengths(amounts: np.ndarray) -> np.ndarray:
    """Return how many distances are kept of each pair of species.

    :param amounts: (S,) sites of each species in the primitive cell, by atomic number.
    :returns: lengths for the pairs (a, b), a ≤ b, row by row.
    """
    total = int(amounts.sum())
    return np.array(
        [
            ceil(NEIGHBOURS * int(amounts[a]) * int(amounts[b]) / (2 * total)) + OWN
            if a == b
            else ceil(NEIGHBOURS * int(amounts[a]) * int(amounts[b]) / total)
            for a, b in _pairs(len(amounts))
        ]
    )


@dataclass(frozen=True)
class Separations:
    """Vectors between the sites of a primitive cell of unit volume per site, each pair once.

    :param cell: (3, 3), the rows are the lattice vectors.
    :param sites: number of sites.
    :param vectors: (P, 3) from site ``first`` to (an image of) site ``second``; by pair of species, then by length.
    :param first, second: (P,) int64.
    :param groups: for each pair of species (a, b), a ≤ b, where its vectors are.
    :param lengths: for each pair of species the number of distances that are kept.
    """

    cell: np.ndarray
    sites: int
    vectors: np.ndarray
    first: np.ndarray
    second: np.ndarray
    groups: list[slice]
    lengths: np.ndarray

    @cached_property
    def levers(self) -> np.ndarray:
        """(N + 3, P): how each vector follows its sites (1 where it ends, -1 where it begins), and itself."""
        table = np.zeros((self.sites + 3, len(self.vectors)))
        pairs = np.arange(len(self.vectors))
        table[self.second, pairs] += 1
        table[self.first, pairs] -= 1
        table[-3:] = self.vectors.T
        return table

    def nearest(self, distance: np.ndarray) -> np.ndarray:
        """Return the indices (..., D) of the distances (..., P) that the lists hold, in their order; -1: none left."""
        chosen = []
        for group, length in zip(self.groups, self.lengths, strict=True):
            order = np.argsort(distance[..., group], axis=-1, kind="stable")[..., :length] + group.start
            missing = length - order.shape[-1]
            if missing:
                order = np.concatenate([order, np.full((*order.shape[:-1], missing), -1)], axis=-1)
            chosen.append(order)
        return np.concatenate(chosen, axis=-1)

    def lists(self) -> np.ndarray:
        """Return the sorted distances of all pairs of species, one list after the other."""
        distance = np.append(np.linalg.norm(self.vectors, axis=1), REACH)  # -1 is the last: nothing within reach
        return np.minimum(distance[self.nearest(distance[:-1])], REACH)


def separations(primitive: Structure) -> Separations:
    """Return the separations in a primitive, reduced cell."""
    count = len(primitive)
    cell = primitive.lattice.matrix * (primitive.volume / count) ** (-1 / 3)
    numbers = np.array([specie.Z for specie in primitive.species])
    species, kind, amounts = np.unique(numbers, return_inverse=True, return_counts=True)
    limit = REACH + _MARGIN
    # differences lie in [-1/2, 1/2]; the images are those within the limit of them
    bounds = np.floor(limit / plane_spacings(cell[None])[0] + 0.5).astype(int)
    images = np.array(list(itertools.product(*(range(-n, n + 1) for n in bounds))), dtype=float)
    later = np.arange(len(images)) > len(images) // 2  # of an image and its opposite, one
    first, second = np.triu_indices(count)
    difference = primitive.frac_coords[second] - primitive.frac_coords[first]
    difference -= np.rint(difference)
    vector = (difference[:, None] + images) @ cell  # (N (N + 1) / 2, M, 3)
    near = (vector**2).sum(axis=2) < limit**2
    near[first == second] &= later
    which, image = np.nonzero(near)
    first, second, vectors = first[which], second[which], vector[which, image]
    low, high = np.minimum(kind[first], kind[second]), np.maximum(kind[first], kind[second])
    # by pair of species and then by length, so that sorting them again after a small move is quick
    pair = low * len(species) + high
    order = np.lexsort((np.einsum("pc,pc->p", vectors, vectors), pair))
    codes = np.array([a * len(species) + b for a, b in _pairs(len(species))])
    bounds = np.searchsorted(pair[order], np.stack([codes, codes + 1])).T.tolist()
    groups = [slice(start, stop) for start, stop in bounds]
    return Separations(cell, count, vectors[order], first[order], second[order], groups, list_lengths(amounts))


def _pairs(species: int) -> Iterator[tuple[int, int]]:
    """Return the pairs (a, b) of species, a ≤ b."""
    return itertools.combinations_with_replacement(range(species), 2)
