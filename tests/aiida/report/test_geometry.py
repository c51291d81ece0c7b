"""Cells, distances and coordination in words."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.report.geometry import conventional_cell, coordination
from tests.aiida.discovery_graph import perovskite


def test_coordination_of_a_perovskite() -> None:
    lines = coordination(perovskite("Pb", "Ti", "O", 3.9))
    assert "Ti: 6 O at 1.95 Å" in lines
    assert "O: 2 Ti at 1.95 Å (3×)" in lines


def test_unequal_bonds_are_told_apart() -> None:
    stretched = Structure(
        Lattice.tetragonal(3.9, 4.3), ["Pb", "Ti", "O", "O", "O"], perovskite("Pb", "Ti", "O", 4).frac_coords
    )
    assert "Ti: 6 O at 4 × 1.95, 2 × 2.15 Å" in coordination(stretched)


def test_cell_is_the_conventional_one() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    cell = conventional_cell(salt.get_primitive_structure(), 0.01)
    assert cell.lengths == pytest.approx((5.64,) * 3)
    assert (cell.symbol, round(cell.c_over_a, 6)) == ("Fm-3m", 1)


def test_crystal_without_symmetry_keeps_its_cell() -> None:
    close = Structure(Lattice.cubic(3.0), ["H", "H"], [[0, 0, 0], [0.001, 0, 0]])
    assert conventional_cell(close, 0.1).symbol == "P1"
