"""The search for a displacement: its derivatives, and that many starts side by side are each what they are alone."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from icsg3d_models.comparison import displacement
from icsg3d_models.comparison.displacement import same_crystal
from icsg3d_models.comparison.matching import primitive_structure
from icsg3d_models.comparison.pair_distances import Separations, separations
from icsg3d_models.crystals.batch import Crystals
from tests.models.screening.crystals_by_hand import perovskite


def of(structure: Structure) -> Separations:
    return separations(primitive_structure(Crystals.from_structures([structure]), 0))


def moved_perovskite(size: float, seed: int = 0, lattice: Lattice | None = None) -> Structure:
    structure = perovskite()
    shifts = np.random.default_rng(seed).normal(0, size, (5, 3))
    return Structure(lattice or structure.lattice, structure.species, structure.frac_coords + shifts)


def test_derivatives() -> None:
    crystal, rng = of(moved_perovskite(0.03)), np.random.default_rng(1)
    lists = np.zeros_like(crystal.lists())
    moved, strain = rng.normal(0, 0.05, (1, 3, 5)), rng.normal(0, 0.02, (1, 6))
    slope = displacement._slope(crystal, displacement._evaluate(crystal, lists, moved, strain))[0]
    for parameter in range(21):
        ends = []
        for sign in (1, -1):
            change = np.zeros(21)
            change[parameter] = sign * 1e-6
            found = displacement._evaluate(crystal, lists, moved + change[:15].reshape(1, 3, 5), strain + change[15:])
            ends.append(found.rest[0])
        np.testing.assert_allclose(slope[parameter], (ends[0] - ends[1]) / 2e-6, atol=1e-5)


def test_starts_side_by_side_are_what_they_are_alone() -> None:
    # no two lattice vectors of one length, of which rounding would choose
    crooked = Lattice.from_parameters(3.8, 4.0, 4.3, 86, 91, 95)
    crystal = of(moved_perovskite(0.03, lattice=crooked))
    other = of(moved_perovskite(0.05, seed=3)).lists()
    starts = np.random.default_rng(2).normal(0, 0.1, (6, 3, 5))
    together = displacement._fit(crystal, other, starts, 1e-3)
    for index in range(6):
        alone = displacement._fit(crystal, other, starts[index : index + 1], 1e-3)
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], many[index], atol=1e-9)


@pytest.mark.parametrize(("structure", "same"), [
    (moved_perovskite(0.03), True),
    (perovskite(length=4.4), True),  # the scale does not count
    (perovskite("Ti", "Pb"), False),
])  # fmt: skip
def test_same_crystal(structure: Structure, same: bool) -> None:
    assert same_crystal(of(structure), of(perovskite()).lists()) is same
