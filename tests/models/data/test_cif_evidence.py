"""What a CIF states beside its sites decides between readings, or speaks against the only one."""

from __future__ import annotations

from collections import Counter

import pytest

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.data.cif import parse_cif

from .test_cif import DIAMOND, PEROVSKITE, cell, group, sites

COLUMNS = "label type_symbol symmetry_multiplicity fract_x fract_y fract_z"
SALT = cell(5.64, 5.64, 5.64)
TWO = sites("Na1 Na 4 0 0 0\nCl1 Cl 4 .5 .5 .5", COLUMNS)
FACES = [(0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5)]
ALL = sites("\n".join(f"Na{n} Na 4 {x} {y} {z}\nCl{n} Cl 4 {0.5 + x} {y} {z}" for n, (x, y, z) in enumerate(FACES)),
            COLUMNS)  # fmt: skip


def content(text: str) -> dict[str, int]:
    (crystal,) = parse_cif("data_x\n" + text)
    return dict(Counter(SYMBOLS[z] for z in crystal.numbers))


@pytest.mark.parametrize(("text", "expected"), [
    (group("F m -3 m") + SALT + TWO, {"Na": 4, "Cl": 4}),
    (group("P 1") + SALT + ALL, {"Na": 4, "Cl": 4}),  # written out, with the multiplicities of the group
    (group("F d -3 m") + DIAMOND + sites("C1 C 8 0 0 0", COLUMNS), {"C": 8}),  # :2 would make 16
    (group("P 1") + "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 1\n" + cell(4, 4, 4) + TWO,
     {"Na": 1, "Cl": 1}),
])  # fmt: skip
def test_multiplicities_that_fit(text: str, expected: dict[str, int]) -> None:
    assert content(text) == expected


def test_multiplicities_of_a_group_that_is_not_stated() -> None:
    with pytest.raises(CrystalError, match="multiplicities of the sites add up to 8, the sites to 2 atoms"):
        content(group("P 1") + SALT + TWO)


def test_the_structural_formula_counts_where_no_sum_is_stated() -> None:
    text = group("P 1") + cell(3.9, 3.9, 3.9) + PEROVSKITE
    assert content("_chemical_formula_structural SrTiO3\n" + text) == {"Sr": 1, "Ti": 1, "O": 3}
    with pytest.raises(CrystalError, match="the file states BaTiO3"):
        content("_chemical_formula_structural BaTiO3\n" + text)


def test_a_dummy_site_is_no_atom() -> None:
    columns = "label type_symbol fract_x fract_y fract_z calc_flag"
    with pytest.raises(CrystalError, match="site X1 is a dummy"):
        content(group("P 1") + SALT + sites("Na1 Na 0 0 0 d\nX1 O .5 .5 .5 dum", columns))


def test_isotopes_are_said() -> None:
    for kind, note in (("D", "deuterium or tritium is taken as hydrogen"), ("Dy", ""), ("H", "")):
        (crystal,) = parse_cif("data_x\n" + group("P 1") + SALT + sites(f"Q1 {kind} 0 0 0"))
        assert crystal.note == note
