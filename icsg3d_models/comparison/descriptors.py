"""A short description of a crystal that does not depend on its cell, orientation, origin or scale.

Lengths are divided by (V/N)^(1/3), as pymatgen's StructureMatcher does. For every pair of species the
number of pairs near each of a few distances is summed, smeared, and divided by what a uniform distribution
would give. Two crystals of one composition that StructureMatcher calls the same have close descriptions;
exchanging two species that sit on different sites moves it far.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.neighbours import neighbour_list

RADII = np.array([0.6, 0.9, 1.2, 1.5])  # in units of (V/N)^(1/3)
SMEAR = 0.3  # the displacement that StructureMatcher forgives, in the same unit
# Of 8,462 pairs of one composition made from Perov-5 (displaced, strained, species exchanged), those that
# StructureMatcher calls the same are at most 0.239 apart, those that it does not at least 0.015.
IDENTICAL = 0.005  # below this StructureMatcher need not be asked: they are the same
DIFFERENT = 0.3  # above this it need not be asked either: they are not
REACH = RADII[-1] + 3 * SMEAR


@dataclass(frozen=True)
class Descriptors:
    """Descriptions of B crystals, of different lengths.

    :param values: per crystal (pairs of species × radii) float32; pairs (a, b), a ≤ b, by atomic number.
    """

    values: list[np.ndarray]

    def stack(self, indices: np.ndarray | list[int]) -> np.ndarray:
        """Return the descriptions of crystals of one composition as one array."""
        return np.stack([self.values[i] for i in indices])


def describe(crystals: Crystals) -> Descriptors:
    """Describe a batch of crystals with valid structures."""
    counts = crystals.counts
    scale = (crystals.volumes / counts) ** (-1 / 3)
    scaled = Crystals(
        crystals.cell * scale[:, None, None], crystals.frac, crystals.numbers, crystals.offsets, crystals.ids
    )
    values: list[np.ndarray] = []
    for start in range(0, len(crystals), 500):
        chunk = scaled.take(np.arange(start, min(start + 500, len(crystals))))
        found = neighbour_list(chunk, REACH)
        for index in range(len(chunk)):
            pairs = slice(found.offsets[index], found.offsets[index + 1])
            first = chunk.offsets[index]
            numbers = chunk.sites(index)[1]
            values.append(
                _one(numbers, found.source[pairs] - first, found.target[pairs] - first, found.distance[pairs])
            )
    return Descriptors(values)


def _one(numbers: np.ndarray, source: np.ndarray, target: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Return the description of one crystal from its pairs of neighbours."""
    species, kind, amounts = np.unique(numbers, return_inverse=True, return_counts=True)
    a, b = kind[source], kind[target]
    smeared = np.exp(-0.5 * ((distance[:, None] - RADII) / SMEAR) ** 2) / (SMEAR * np.sqrt(2 * np.pi))
    table = np.zeros((len(species) ** 2, len(RADII)))
    code = a * len(species) + b
    for column in range(len(RADII)):
        table[:, column] = np.bincount(code, smeared[:, column], len(species) ** 2)
    # pairs per unit length at r in a uniform distribution of density 1
    uniform = (amounts[:, None] * amounts / len(numbers)).reshape(-1, 1) * 4 * np.pi * (RADII**2 + SMEAR**2)
    upper = np.triu_indices(len(species))
    return (table / uniform)[upper[0] * len(species) + upper[1]].ravel().astype(np.float32)


def distances(one: np.ndarray, many: np.ndarray) -> np.ndarray:
    """Return the distance of one description (D,) from each of many (M, D): root mean square difference."""
    return np.sqrt(np.mean((many - one) ** 2, axis=1))
