"""Corrections and formation energies against Materials Project's numbers."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from icsg3d_models.stability.corrections import hubbards, mp2020_correction
from icsg3d_models.stability.formation import formation_energy, stability_of
from icsg3d_models.stability.hull import Hulls, MixedLabelsError
from icsg3d_models.stability.references import References, shipped_references


def rock_salt(a: str, x: str, length: float) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(length), [a, x], [[0, 0, 0], [0.5, 0.5, 0.5]])


def test_corrections_are_those_of_the_paper() -> None:
    """Wang et al. 2021, table 1: oxide -0.687 eV an O, Fe in oxides -2.256 eV an Fe, Cl -0.614 eV a Cl."""
    assert mp2020_correction(rock_salt("Mg", "O", 4.2), -12.0 * 4)[0] == pytest.approx(4 * -0.687)
    assert mp2020_correction(rock_salt("Fe", "O", 4.3), -12.0 * 4)[0] == pytest.approx(4 * (-0.687 - 2.256))
    assert mp2020_correction(rock_salt("Na", "Cl", 5.6), -7.0 * 4)[0] == pytest.approx(4 * -0.614)
    copper = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
    assert mp2020_correction(copper, -16.0) == (0.0, "")


def test_hubbard_elements_only_beside_oxygen_or_fluorine() -> None:
    assert hubbards({"Fe", "O"}) == {"Fe": 5.3}
    assert hubbards({"Fe", "S"}) == {}
    assert hubbards({"Ti", "O"}) == {}


def test_magnesia_from_its_uncorrected_energy() -> None:
    """MgO in Materials Project: -11.96 eV a formula as calculated, formation energy -3.03 eV/atom."""
    value, note = formation_energy(rock_salt("Mg", "O", 4.25), 4 * -11.96, "mp", shipped_references())
    assert value == pytest.approx(-3.03, abs=0.03)
    assert note == ""


def test_scales_never_mix() -> None:
    other = References("LDA", "mine", ("MgO",), np.array([-3.0]), np.array([True]), {"Mg": -1.0, "O": -4.0})
    for scale in ("mp", "MP2020", None):
        with pytest.raises(MixedLabelsError, match="against a hull of 'LDA'"):
            stability_of(rock_salt("Mg", "O", 4.2), -44.0, scale, Hulls(other))
    found = stability_of(rock_salt("Mg", "O", 4.2), -44.0, "LDA", Hulls(other))
    assert found.formation_energy_per_atom == pytest.approx(-3.0)
    assert found.e_above_hull == pytest.approx(0.0, abs=1e-9)
    assert found.phases() == "1.000 MgO"
