"""Compositions, cell contents and space groups of new crystals, drawn by analogy to known ones.

A known crystal is chosen, and some or all of its elements are exchanged for others that are akin: NaMnO2 makes LiMnO2
and KMnO2. What is drawn is a whole (which elements, how many of each in the cell, which space group) rather than one
part independent of the other, and most of it is new. Exchanging elements of known crystals is after Hautier et al.,
Inorg. Chem. 50, 656 (2011), 10.1021/ic102031h; how akin two elements are is here the distance of their codes,
those by which the networks know them (:func:`icsg3d_models.crystals.elements.code_table`) or, for compositions that are
named, codes that were learned from the examples (:mod:`icsg3d_models.training.kinship`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import NamedTuple

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.elements import MAX_Z, code_table
from ..crystals.operations import Setting, symmetry_settings
from ..crystals.validity import composition_valid
from .example_symmetry import ExampleSymmetry, symmetry_of
from .stoichiometry import Composition, formula_of

WIDTH = 0.4  # of the kernel over distances of codes; neighbours in a group or a row are about 0.6 apart
TRIES = 50  # crystals chosen for one composition before giving up


def usual_codes() -> np.ndarray:
    """Return codes of the elements by atomic number, (MAX_Z + 1, D), in units in which exp(-distance²) is kinship."""
    return np.array(code_table()) / (np.sqrt(2) * WIDTH)


@lru_cache(maxsize=1)
def kinship() -> np.ndarray:
    """Return :func:`kinship_of` of the usual codes."""
    return kinship_of(usual_codes())


def kinship_of(codes: np.ndarray) -> np.ndarray:
    """Return how akin two elements are, by atomic number, (MAX_Z + 1, MAX_Z + 1): 1 for the same, less for others.

    The row and column of "no atom" hold 0, except that it is akin to itself.
    """
    akin = np.exp(-((codes[:, None] - codes[None]) ** 2).sum(axis=2))
    akin[0, 1:] = akin[1:, 0] = 0.0
    return akin


class Drawn(NamedTuple):
    """A new crystal as it is drawn.

    :param contents: atomic number -> sites in the cell.
    :param group: number of the space group, 0 where it is not known.
    :param operations: rotations (O, 3, 3) and translations (O, 3) about a site of its rarest element (the heaviest of
        those); None where they are not known.
    """

    contents: dict[int, int]
    group: int
    operations: tuple[np.ndarray, np.ndarray] | None = None


def rarest(contents: Mapping[int, int]) -> int:
    """Return the place of the element with the fewest sites, of several the heaviest."""
    order = sorted(range(len(contents)), key=lambda i: (list(contents.values())[i], -list(contents)[i]))
    return order[0]


@dataclass(frozen=True)
class Examples:
    """What known crystals are made of, and their space groups.

    :param numbers: (N, K) atomic numbers of the elements of each cell, 0 where there are fewer than K.
    :param amounts: (N, K) sites of each in the cell.
    :param groups: (N,) number of the space group, 0 where it is not known.
    :param symmetry: their operations, None where they were not kept.
    :param codes: (MAX_Z + 1, D) learned codes of the elements, see :func:`usual_codes`; None: none were.
    """

    numbers: np.ndarray
    amounts: np.ndarray
    groups: np.ndarray
    symmetry: ExampleSymmetry | None = None
    codes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Examples:
        """Return the chosen ones."""
        symmetry = None if self.symmetry is None else self.symmetry.take(rows)
        return Examples(self.numbers[rows], self.amounts[rows], self.groups[rows], symmetry, self.codes)

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
    ) -> Drawn | None:
        """Return a new crystal, None where nothing valid is met.

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
                others = free[free != z]  # what may stay is not put in its own place
                if z in free and len(others):
                    free = others
                akin = kinship()[z, free]
                if akin.sum() == 0:
                    break
                made[int(rng.choice(free, p=akin / akin.sum()))] = amount
            if len(made) == kinds and composition_valid(formula_of(made)):
                return self._as_drawn(row, made, rarest(made))
        return None

    def _as_drawn(self, row: int, contents: dict[int, int], kind: int) -> Drawn:
        """Return contents with what is kept of an example; ``kind``: of it, the element that is at the origin."""
        known = self.symmetry is not None and self.symmetry.halls[row] > 0
        operations = self.symmetry.operations(row, kind) if known and self.symmetry is not None else None
        return Drawn(contents, int(self.groups[row]), operations)

    def likenesses(self, contents: Mapping[int, int]) -> Likenesses:
        """Return the examples of the same amounts in the cell, and how akin their elements are to those of contents."""
        most = self.amounts.shape[1]
        wanted = sorted(contents, key=lambda z: (contents[z], z))
        amounts = np.array([contents[z] for z in wanted])
        if len(wanted) > most:
            return Likenesses(self, tuple(wanted), np.zeros(0, int), np.zeros((0, 0), int), np.zeros((0, 0)))
        order = np.argsort(np.where(self.amounts > 0, self.amounts, 255), axis=1, kind="stable")[:, : len(wanted)]
        own = np.take_along_axis(self.amounts, order, axis=1)
        right = (own == amounts).all(axis=1) & ((self.amounts > 0).sum(axis=1) == len(wanted))
        rows = np.flatnonzero(right)
        kinds = np.take_along_axis(self.numbers, order, axis=1)[rows]  # (M, k)
        ways = [w for w in permutations(range(len(wanted))) if (amounts[list(w)] == amounts).all()]
        new = np.array(wanted)
        table = kinship() if self.codes is None else kinship_of(self.codes)
        akin = np.stack([table[kinds, new[list(w)]].prod(axis=1) for w in ways], axis=1)  # (M, W)
        return Likenesses(self, tuple(wanted), rows, np.array(ways), akin, order[rows])


@dataclass(frozen=True)
class Likenesses:
    """Examples that a composition can be made like.

    :param elements: of the composition, as ``ways`` counts them.
    :param rows: (M,) of the examples.
    :param ways: (W, k) which element of the composition takes the place of each of theirs, all that keep the amounts.
    :param akin: (M, W) how akin they are then.
    :param places: (M, k) where their elements stand among those of the example.
    """

    examples: Examples
    elements: tuple[int, ...]
    rows: np.ndarray
    ways: np.ndarray
    akin: np.ndarray
    places: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))

    def likeliest(self) -> tuple[int, int]:
        """Return example and way of the likeliest space group, of them the most akin."""
        groups = self.examples.groups[self.rows]
        share = np.bincount(groups, weights=self.akin.sum(axis=1))
        best = np.where((groups == share.argmax())[:, None], self.akin, -1.0).argmax()
        row, way = divmod(int(best), self.akin.shape[1])
        return row, way

    def draw(self, contents: Mapping[int, int], rng: np.random.Generator | None) -> Drawn | None:
        """Return the composition like one of them, None where there is none.

        :param rng: None: like the likeliest.
        """
        if self.akin.sum() == 0:
            return None
        if rng is None:
            row, way = self.likeliest()
        else:
            choice = int(rng.choice(self.akin.size, p=(self.akin / self.akin.sum()).ravel()))
            row, way = divmod(choice, self.akin.shape[1])
        there = {self.elements[e]: int(self.places[row, k]) for k, e in enumerate(self.ways[way])}
        first = list(contents)[rarest(contents)]
        return self.examples._as_drawn(int(self.rows[row]), dict(contents), there[first])


def examples_of(
    crystals: Crystals, groups: Sequence[int | None], settings: Sequence[Setting] | None = None
) -> Examples:
    """Return what crystals are made of, in the cells in which they are given.

    :param groups: (B,) numbers of their space groups.
    :param settings: (B,) where their operations stand; None: it is found.
    """
    contents = Composition().describe(crystals, {})
    most = max(len(content) for content in contents)
    numbers, amounts = np.zeros((2, len(contents), most), dtype=np.int64)
    for row, content in enumerate(contents):
        numbers[row, : len(content)] = list(content)
        amounts[row, : len(content)] = list(content.values())
    known = np.array([group or 0 for group in groups], dtype=np.int64)
    return Examples(numbers, amounts, known, symmetry_of(crystals, numbers, settings or symmetry_settings(crystals)))
