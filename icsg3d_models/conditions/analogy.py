"""Compositions, cell contents and space groups of new crystals, drawn by analogy to known ones.

A known crystal is chosen, and some or all of its elements are exchanged for others that are akin: NaMnO2 makes LiMnO2
and KMnO2. What is drawn is a whole (which elements, how many of each in the cell, which space group) rather than one
part independent of the other, and most of it is new. Exchanging elements of known crystals is after Hautier et al.,
Inorg. Chem. 50, 656 (2011), 10.1021/ic102031h; how akin two elements are is here the distance of their codes
(:func:`icsg3d_models.crystals.elements.code_table`), not learned from data.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.elements import MAX_Z, code_table
from ..crystals.validity import composition_valid
from .stoichiometry import Composition, formula_of

WIDTH = 0.4  # of the kernel over distances of codes; neighbours in a group or a row are about 0.6 apart
TRIES = 50  # crystals chosen for one composition before giving up


@lru_cache(maxsize=1)
def kinship() -> np.ndarray:
    """Return how akin two elements are, by atomic number, (MAX_Z + 1, MAX_Z + 1): 1 for the same, less for others.

    The row and column of "no atom" hold 0, except that it is akin to itself.
    """
    codes = np.array(code_table())
    distance = np.linalg.norm(codes[:, None] - codes[None], axis=2)
    akin = np.exp(-(distance**2) / (2 * WIDTH**2))
    akin[0, 1:] = akin[1:, 0] = 0.0
    return akin


@dataclass(frozen=True)
class Examples:
    """What known crystals are made of, and their space groups.

    :param numbers: (N, K) atomic numbers of the elements of each cell, 0 where there are fewer than K.
    :param amounts: (N, K) sites of each in the cell.
    :param groups: (N,) number of the space group, 0 where it is not known.
    """

    numbers: np.ndarray
    amounts: np.ndarray
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Examples:
        """Return the chosen ones."""
        return Examples(self.numbers[rows], self.amounts[rows], self.groups[rows])

    def weights(self, allowed: Collection[int] | None, asked: Sequence[int] | None, n_atoms: int | None) -> np.ndarray:
        """Return how likely each is chosen, (N,) of sum 1, or of sum 0 where none can be made of what is allowed.

        :param allowed: atomic numbers, None: all. A crystal counts by how akin its elements are to allowed ones.
        :param asked: the ratio of amounts, in any order and unit; None: any.
        :param n_atoms: of the cell; None: any.
        """
        weight = np.ones(len(self))
        if n_atoms is not None:
            weight *= self.amounts.sum(axis=1) == n_atoms
        if asked is not None:
            parts = sorted((a // math.gcd(*asked) for a in asked), reverse=True)
            most = self.amounts.shape[1]
            if len(parts) > most:
                return np.zeros(len(self))
            unit = np.gcd.reduce(self.amounts, axis=1)
            own = np.sort(self.amounts // unit[:, None], axis=1)[:, ::-1]
            weight *= (own == np.array(parts + [0] * (most - len(parts)))).all(axis=1)
        if allowed is not None:
            reach = np.zeros(MAX_Z + 1)
            reach[1:] = kinship()[1:, list(allowed)].max(axis=1)
            reach[0] = 1.0
            weight *= reach[self.numbers].prod(axis=1)
            weight *= (self.numbers > 0).sum(axis=1) <= len(allowed)
        return weight / (weight.sum() or 1.0)

    def draw(
        self, weights: np.ndarray, elements: Collection[int], changed: float, rng: np.random.Generator
    ) -> tuple[dict[int, int], int] | None:
        """Return atomic number -> sites in the cell, and the space group, None where nothing valid is met.

        :param weights: of the crystals, see :meth:`weights`.
        :param elements: that may stand in place of those of the crystal.
        :param changed: probability that an element which is among these may be exchanged at all.
        """
        pool = np.array(sorted(elements))
        for _ in range(TRIES):
            row = int(rng.choice(len(weights), p=weights))
            kinds = int((self.numbers[row] > 0).sum())
            made: dict[int, int] = {}
            for z, amount in zip(self.numbers[row, :kinds].tolist(), self.amounts[row, :kinds].tolist(), strict=True):
                free = pool[~np.isin(pool, list(made))]
                if z in free and rng.random() >= changed:
                    made[z] = amount
                    continue
                akin = kinship()[z, free]
                if akin.sum() == 0:
                    break
                made[int(rng.choice(free, p=akin / akin.sum()))] = amount
            if len(made) == kinds and composition_valid(formula_of(made)):
                return made, int(self.groups[row])
        return None


def examples_of(crystals: Crystals, groups: Sequence[int | None]) -> Examples:
    """Return what crystals are made of, in the cells in which they are given.

    :param groups: (B,) numbers of their space groups.
    """
    contents = Composition().describe(crystals, {})
    most = max(len(content) for content in contents)
    numbers, amounts = np.zeros((2, len(contents), most), dtype=np.int64)
    for row, content in enumerate(contents):
        numbers[row, : len(content)] = list(content)
        amounts[row, : len(content)] = list(content.values())
    return Examples(numbers, amounts, np.array([group or 0 for group in groups], dtype=np.int64))
