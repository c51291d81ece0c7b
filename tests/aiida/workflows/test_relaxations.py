"""What is said of a relaxed crystal beside the generated one, by cases whose answer is plain."""

from __future__ import annotations

import numpy as np
import pytest
from aiida import orm
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.workflows import relaxations
from tests.aiida.workflows.test_validate import data, perovskite

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def test_displacement_of_one_site() -> None:
    """One of N sites moved by d, less the common shift d/N: sqrt(N - 1) d / N."""
    assert relaxations.rms_displacement(perovskite(0.1), perovskite()) == pytest.approx(0.1 * 2 / 5, abs=1e-6)


def test_change_of_volume_and_of_cell_is_no_displacement() -> None:
    assert relaxations.rms_displacement(perovskite(), perovskite(a=4.2)) == pytest.approx(0, abs=1e-6)
    doubled = perovskite().make_supercell(np.diag([2, 1, 1]), in_place=False)
    assert relaxations.rms_displacement(doubled, perovskite()) == pytest.approx(0, abs=1e-6)


def test_another_crystal_has_no_displacement() -> None:
    rocksalt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.2), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    assert relaxations.rms_displacement(perovskite(), rocksalt) is None


def test_generated_volume_is_counted_in_the_relaxed_cell() -> None:
    doubled = perovskite().make_supercell(np.diag([2, 1, 1]), in_place=False)
    described = relaxations.describe_relaxation(data(doubled), data(perovskite(a=3.9)), -50.0)
    assert described["volume_initial"] == pytest.approx(64)
    assert described["volume_relaxed"] == pytest.approx(3.9**3)


@pytest.mark.parametrize(("shift", "cubic"), [(0.03, True), (0.3, False)])
def test_symmetrise(shift: float, cubic: bool) -> None:
    """A shift within the tolerance goes, a larger one stays."""
    structure = relaxations.symmetrise_structure(data(perovskite(shift)), orm.Float(0.1)).get_pymatgen()
    assert (structure.get_space_group_info()[1] == 221) == cubic
    assert structure.composition == perovskite().composition
    assert structure.volume == pytest.approx(64)


def test_symmetrise_takes_the_primitive_cell() -> None:
    doubled = perovskite(0.01).make_supercell(np.diag([1, 2, 2]), in_place=False)
    assert len(relaxations.symmetrise_structure(data(doubled), orm.Float(0.1)).sites) == 5
