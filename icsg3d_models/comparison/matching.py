"""Are two crystals the same: pymatgen's StructureMatcher, asked only where the descriptions leave it open."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from ..crystals.batch import Crystals
from .descriptors import DIFFERENT, IDENTICAL, Descriptors, distances

# tolerances of MatterGen (Zeni et al. 2025, 10.1038/s41586-025-08628-5)
LTOL, STOL, ANGLE_TOL = 0.2, 0.3, 5.0


def primitive_structure(crystals: Crystals, index: int) -> Structure:
    """Return one crystal in its reduced primitive cell, as StructureMatcher prepares it."""
    frac, numbers = crystals.sites(index)
    reduced = Structure(Lattice(crystals.cell[index]), numbers.tolist(), frac).get_reduced_structure()
    # a cell whose amounts have no common factor holds one formula unit, and is primitive
    if np.gcd.reduce(np.unique(numbers, return_counts=True)[1]) == 1:
        return reduced
    return reduced.get_primitive_structure()


class Matcher:
    """Compares crystals of a batch with each other or with those of another batch.

    :param crystals: B crystals with valid structures.
    :param descriptors: their descriptions.
    """

    def __init__(self, crystals: Crystals, descriptors: Descriptors) -> None:
        self.crystals, self.descriptors = crystals, descriptors
        self.matcher = StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)
        self.reduced: dict[int, Structure] = {}

    def structure(self, index: int) -> Structure:
        """Return the reduced primitive cell of one crystal, computed once."""
        if index not in self.reduced:
            self.reduced[index] = primitive_structure(self.crystals, index)
        return self.reduced[index]

    def first_match(self, index: int, other: Matcher, candidates: Iterable[int]) -> int | None:
        """Return the first of ``candidates`` of ``other`` that is the same crystal as ``index``, else None.

        :param candidates: crystals of the same reduced formula, tried from the closest description on.
        """
        chosen = np.fromiter(candidates, dtype=np.int64)
        if len(chosen) == 0:
            return None
        apart = distances(self.descriptors.values[index], other.descriptors.stack(chosen))
        for position in np.argsort(apart, kind="stable"):
            if apart[position] > DIFFERENT:
                break
            candidate = int(chosen[position])
            if apart[position] < IDENTICAL or self.matcher.fit(
                self.structure(index), other.structure(candidate), skip_structure_reduction=True
            ):
                return candidate
        return None
