"""Distances in units of covalent radii: 1.46 Å of Pb, 1.60 Å of Ti, 0.66 Å of O."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from icsg3d_models.screening.criteria.distance import DISTANCE

from ..crystals_by_hand import batch_of, perovskite


def test_closest_for_its_size() -> None:
    far = Structure(Lattice.cubic(20), ["Pb"], [[0, 0, 0]])
    found = DISTANCE.judge(batch_of([perovskite(), perovskite(length=2.6), far]))
    ratios = found.cells["shortest_ratio"]
    assert ratios[0] == pytest.approx(3.97 / 2 / (1.60 + 0.66))  # titanium and oxygen, not the closest in Å alone
    assert ratios[1] == pytest.approx(1.3 / 2.26)
    assert ratios[2] is None  # nothing near, which is no fault of the distances
    assert found.passed.tolist() == [True, False, True]
    assert found.reasons[1] == "Ti and O are 0.58 of their radii apart, less than 0.6"


def test_threshold_of_the_settings() -> None:
    batch = batch_of([perovskite()], min_distance_ratio=0.9)
    assert DISTANCE.judge(batch).passed.tolist() == [False]
    assert DISTANCE.judge(batch_of([perovskite()], min_distance_ratio=0.87)).passed.tolist() == [True]


def test_two_atoms_of_lead_on_each_other_are_not_a_crystal() -> None:
    """The published test of validity lets 0.6 Å between two atoms of lead pass."""
    close = Structure(Lattice.cubic(4), ["Pb", "Pb"], [[0, 0, 0], [0.15, 0, 0]])
    batch = batch_of([close])
    assert batch.problems == [None]
    assert DISTANCE.judge(batch).passed.tolist() == [False]
