"""How formulas are written."""

from __future__ import annotations

import pytest

from icsg3d_models.crystals.formulas import chemical_formula


@pytest.mark.parametrize(
    "formula",
    [
        "PbTiO3", "MgTiO3", "PbZrO3", "CaTiO3", "KNbO3", "LaFeO3", "BiFeO3", "CsPbI3", "KMgF3", "BaNbN3",
        "MgAl2O4", "ZnFe2O4", "Li2MnO3", "LiNbO3", "LiFePO4", "LiCoO2", "CuInS2", "CuFeS2", "Mg2SiO4", "Al2SiO5",
        "CaCO3", "Ca3(PO4)2", "Al2(SO4)3", "Ca(NO3)2", "Na2SO4", "NaHCO3", "Ca(OH)2", "NaOH", "Ca2P2O7",
        "NaCl", "SiO2", "Bi2Te3", "Ca3N2", "GaAs", "SiC", "BN", "NH3", "CH4", "H2O", "HCl", "LiH", "C", "Fe", "O2",
    ],
)  # fmt: skip
def test_formulas_are_written_as_chemists_write_them(formula: str) -> None:
    from pymatgen.core import Composition

    amounts = Composition(formula).as_dict()
    for symbols in (sorted(amounts), sorted(amounts, reverse=True)):
        shuffled = "".join(f"{symbol}{2 * amounts[symbol]:g}" for symbol in symbols)
        assert chemical_formula(shuffled) == formula


def test_an_alloy_is_ordered_by_electronegativity() -> None:
    assert chemical_formula("Ni3Al") == "AlNi3"
    assert chemical_formula("CoCrFe") == "CrFeCo"


def test_parts_of_atoms_are_kept() -> None:
    assert chemical_formula("Cl0.9K0.9") == "K0.9Cl0.9"


@pytest.mark.parametrize("text", ["?", "", "Xx2", "not a formula"])
def test_what_is_no_formula_comes_back_as_it_is(text: str) -> None:
    assert chemical_formula(text) == text
