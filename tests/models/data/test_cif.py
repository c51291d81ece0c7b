"""Every block of a CIF is read right, or refused with the reason."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.data.cif import crystals_of_cif, parse_cif
from icsg3d_models.data.crystal import Crystal, Refused, cell_from_parameters

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
CELL = "".join(f"_cell_length_{x} {{}}\n" for x in "abc") + "".join(
    f"_cell_angle_{x} {{}}\n" for x in ("alpha", "beta", "gamma")
)


def cell(a: float, b: float, c: float, alpha: float = 90, beta: float = 90, gamma: float = 90) -> str:
    return CELL.format(a, b, c, alpha, beta, gamma)


def sites(rows: str, columns: str = "label type_symbol fract_x fract_y fract_z") -> str:
    return "loop_\n" + "".join(f"_atom_site_{column}\n" for column in columns.split()) + rows.strip() + "\n"


def operations(*triplets: str) -> str:
    return "loop_\n_symmetry_equiv_pos_as_xyz\n" + "".join(f"'{triplet}'\n" for triplet in triplets)


def contents(crystal: Crystal) -> dict[str, int]:
    return dict(Counter(SYMBOLS[z] for z in crystal.numbers))


NACL = sites("Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5")
CARBON_0 = sites("C1 C 0 0 0")
CARBON_8 = sites("C1 C 0.125 0.125 0.125")
DIAMOND = cell(3.567, 3.567, 3.567)
PEROVSKITE = sites("Sr1 Sr 0 0 0\nTi1 Ti 0.5 0.5 0.5\nO1 O 0.5 0.5 0\nO2 O 0.5 0 0.5\nO3 O 0 0.5 0.5")


def group(name: str) -> str:
    return f"_symmetry_space_group_name_H-M '{name}'\n"


def triclinic() -> Structure:
    """Return a crystal without symmetry."""
    rng = np.random.default_rng(3)
    lattice = Lattice.from_parameters(4.1, 5.2, 6.3, 75, 98, 112)
    return Structure(lattice, ["Ti", "O", "O", "Pb"], rng.random((4, 3)))


def text_of(structure: Structure, symprec: float | None = None) -> str:
    return str(CifWriter(structure, symprec=symprec))


def test_a_crystal_without_symmetry_is_what_pymatgen_reads() -> None:
    text = text_of(triclinic())
    (plain,) = parse_cif(text)
    (full,) = CifParser.from_str(text).parse_structures(primitive=False)
    np.testing.assert_allclose(plain.cell, full.lattice.matrix, atol=1e-7)
    # pymatgen may list the sites in another order
    order = [int(np.argmin(np.abs(full.frac_coords - f).sum(axis=1))) for f in plain.frac]
    assert sorted(order) == [0, 1, 2, 3]
    np.testing.assert_allclose(plain.frac, full.frac_coords[order], atol=1e-7)
    assert plain.numbers.tolist() == [full[i].specie.Z for i in order]


@pytest.mark.parametrize("parameters", [(3, 4, 5, 90, 90, 90), (3, 3, 8, 90, 90, 120), (4, 5, 6, 70, 80, 100)])
def test_cell_has_the_parameters(parameters: tuple[float, ...]) -> None:
    lattice = Lattice(cell_from_parameters(*parameters))
    np.testing.assert_allclose(lattice.parameters, parameters, atol=1e-9)


def test_symmetry_is_applied() -> None:
    (crystal,) = parse_cif(text_of(ROCK_SALT, symprec=0.01))
    assert sorted(crystal.numbers.tolist()) == [11] * 4 + [17] * 4


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: "", "empty"),
        (lambda t: "not a CIF at all", "unreadable"),
        (lambda t: t.replace("  1.0\n", "  0.5\n").replace("  1\n", "  0.5\n"), "partial occupancy"),
        (lambda t: t.replace("_cell_length_a   4.1", "_cell_length_a   0.0"), "singular cell|unreadable"),
        (lambda t: t.replace("_cell_angle_gamma   112", "_cell_angle_gamma   179"), "singular cell"),
        (lambda t: "\n".join(t.splitlines()[:-1]), "cut off or incomplete"),
        (lambda t: t[: len(t) // 2], "unreadable|cut off"),
        (lambda t: t.replace("  Ti  ", "  Zz  "), "no chemical element"),
        (lambda t: t.replace("data_", "data_\0"), "NUL"),
        (lambda t: t.replace("_cell_volume   1", "_cell_volume   2"), "Å³, but the file states"),
    ],
)
def test_bad_cif_is_refused_with_the_reason(spoil: Callable[[str], str], reason: str) -> None:
    text = text_of(triclinic())
    changed = spoil(text)
    assert changed != text
    with pytest.raises(CrystalError, match=reason):
        parse_cif(changed)


def test_rows_after_a_blank_line_belong_to_the_loop() -> None:
    lines = text_of(triclinic()).rstrip().splitlines()
    assert len(parse_cif("\n".join([*lines[:-1], "", lines[-1]]))[0].numbers) == 4


@pytest.mark.parametrize(
    "name",
    ["F m -3 m", "F m 3 m", "Fm3m", "FM-3M", "F M 3- M", "F 4/m -3 2/m", "Fm-3m:1", r"F m \bar{3} m", "Fm3\u0305m"],
)
def test_spellings_of_a_space_group(name: str) -> None:
    (crystal,) = parse_cif("data_x\n" + group(name) + cell(5.64, 5.64, 5.64) + NACL)
    assert contents(crystal) == {"Na": 4, "Cl": 4}


@pytest.mark.parametrize("tag", ["_space_group_name_Hall", "_space_group.name_Hall", "_SYMMETRY_SPACE_GROUP_NAME_HALL"])
def test_a_hall_symbol_alone(tag: str) -> None:
    (crystal,) = parse_cif(f"data_x\n{tag} '-F 4vw 2vw 3'\n" + DIAMOND + CARBON_8)
    assert contents(crystal) == {"C": 8}


@pytest.mark.parametrize(
    ("symmetry", "content"),
    [
        (group("F d -3 m :2"), CARBON_8),
        (group("F d -3 m Z"), CARBON_8),
        (group("F d -3 m :1"), CARBON_0),
        (group("F d 3 m S"), CARBON_0),
        (group("F d -3 m") + "_space_group_IT_coordinate_system_code 2\n", CARBON_8),
        # what the symbol leaves open the file states: 8 atoms
        (group("F d -3 m") + "_chemical_formula_sum C\n_cell_formula_units_Z 8\n", CARBON_8),
        (group("F d -3 m") + "_chemical_formula_sum C\n_exptl_crystal_density_diffrn 3.51\n", CARBON_0),
        ("_space_group_IT_number 227\n_chemical_formula_sum C8\n_cell_formula_units_Z 8\n", CARBON_0),
    ],
)
def test_origin_choices(symmetry: str, content: str) -> None:
    (crystal,) = parse_cif("data_x\n" + symmetry + DIAMOND + content)
    assert contents(crystal) == {"C": 8}


def test_an_origin_that_is_left_open_is_refused() -> None:
    with pytest.raises(CrystalError, match=r"contradicts itself: 8 atoms by .*:1, 16 atoms by .*:2; state Z"):
        parse_cif("data_x\n" + group("F d -3 m") + DIAMOND + CARBON_0)


@pytest.mark.parametrize(
    ("name", "shape", "content", "expected"),
    [
        ("R -3 m", cell(4.5, 4.5, 11.9, 90, 90, 120), "Bi1 Bi 0 0 0.234", {"Bi": 6}),
        ("R -3 m", cell(4.75, 4.75, 4.75, 57.2, 57.2, 57.2), "Bi1 Bi 0.234 0.234 0.234", {"Bi": 2}),
        ("R -3 m R", cell(4.75, 4.75, 4.75, 57.2, 57.2, 57.2), "Bi1 Bi 0.234 0.234 0.234", {"Bi": 2}),
        ("P 21/c", cell(5, 6, 7, 90, 100, 90), "Zr1 Zr 0.1 0.2 0.3", {"Zr": 4}),
        ("P 1 1 21/b", cell(5, 6, 7, 90, 90, 100), "Zr1 Zr 0.1 0.2 0.3", {"Zr": 4}),
        ("P 21/b", cell(5, 6, 7, 90, 90, 100), "Zr1 Zr 0.1 0.2 0.3", {"Zr": 4}),
        ("I 2/a", cell(5, 6, 7, 90, 100, 90), "Zr1 Zr 0.1 0.2 0.3", {"Zr": 8}),
        ("P b n m", cell(5, 6, 7), "Zr1 Zr 0.1 0.2 0.25", {"Zr": 4}),
        ("P 21/n 21/m 21/a", cell(5, 6, 7), "Zr1 Zr 0.1 0.25 0.3", {"Zr": 4}),
        ("C m c e", cell(5, 6, 7), "Zr1 Zr 0 0 0", {"Zr": 4}),
        ("H 3", cell(5, 5, 7, 90, 90, 120), "Zr1 Zr 0 0 0.1", {"Zr": 3}),
    ],
)
def test_axes_and_settings(name: str, shape: str, content: str, expected: dict[str, int]) -> None:
    (crystal,) = parse_cif("data_x\n" + group(name) + shape + sites(content))
    assert contents(crystal) == expected


@pytest.mark.parametrize(
    ("symmetry", "shape", "reason"),
    [
        (group("F q m"), cell(5, 5, 5), "'F q m' is not understood"),
        (group("F m -3 m"), cell(5, 5, 6), "does not have the shape that space group F m -3 m"),
        (operations("x,y,z", "-x,-y"), cell(5, 5, 5), "'-x,-y' cannot be parsed"),
        (operations("x,y,z", "-x,-y,z", "x,-y,-z"), cell(5, 5, 5), "no group: some are missing"),
        ("_symmetry_cell_setting cubic\n", cell(5, 5, 5), "no space group and no operations are stated, but a cubic"),
        (group("F m -3 m") + operations("x,y,z"), cell(5.64, 5.64, 5.64), "contradicts itself"),
        (group("F q m") + operations("x,y,z"), cell(5.64, 5.64, 5.64), "is not understood"),
        ("_cell_modulation_dimension 1\n" + group("P 1"), cell(5, 5, 5), "modulated"),
    ],
)
def test_symmetry_that_is_refused(symmetry: str, shape: str, reason: str) -> None:
    with pytest.raises(CrystalError, match=reason):
        parse_cif("data_x\n" + symmetry + shape + NACL)


def test_identity_alone_beside_a_real_group_counts_where_all_sites_are_listed() -> None:
    every = "".join(f"X{i} {s.specie} {' '.join(map(str, s.frac_coords))}\n" for i, s in enumerate(ROCK_SALT))
    text = "data_x\n" + group("F m -3 m") + operations("x,y,z") + cell(5.64, 5.64, 5.64)
    assert contents(parse_cif(text + sites(every))[0]) == {"Na": 4, "Cl": 4}
    proved = "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4\n"
    assert contents(parse_cif(text + proved + NACL)[0]) == {"Na": 4, "Cl": 4}


def test_tags_of_the_newer_dictionary_and_in_upper_case() -> None:
    text = "data_x\n" + group("F m -3 m") + cell(5.64, 5.64, 5.64) + NACL
    newer = text.replace("_cell_", "_cell.").replace("_atom_site_", "_atom_site.")
    newer = newer.replace("_symmetry_space_group_name_H-M", "_space_group.name_H-M_alt")
    upper = text.replace("_cell_length_a", "_CELL_LENGTH_A").replace("_atom_site_fract_x", "_Atom_Site_Fract_x")
    listed = "data_x\n" + operations("x,y,z", "-x,-y,-z").replace(
        "_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz"
    ) + cell(5, 5, 5) + sites("Na1 Na 0.1 0.2 0.3")  # fmt: skip
    for changed in (newer, upper):
        assert contents(parse_cif(changed)[0]) == {"Na": 4, "Cl": 4}
    assert contents(parse_cif(listed)[0]) == {"Na": 2}


def test_special_positions_with_few_digits() -> None:
    text = "data_x\n" + group("P 63/m m c") + cell(2.51, 2.51, 4.12, 90, 90, 120) + sites("C1 C 0.333 0.667 0.0625")
    (crystal,) = parse_cif(text)
    assert contents(crystal) == {"C": 4}
    np.testing.assert_allclose(np.sort(crystal.frac[:, 0]), [1 / 3, 1 / 3, 2 / 3, 2 / 3], atol=1e-12)
    off = text.replace("0.333 0.667", "0.3133 0.6467")
    with pytest.raises(CrystalError, match="from its own image: disorder"):
        parse_cif(off)


OCCUPIED = "label type_symbol fract_x fract_y fract_z occupancy"


@pytest.mark.parametrize(
    ("rows", "columns", "reason"),
    [
        ("O1 O 0 0 0 ?", OCCUPIED, "occupancy of site O1 is unknown"),
        ("O1 O 0 0 0 0.5", OCCUPIED, "partial occupancy"),
        ("O1 O 0 0 0 1.5", OCCUPIED, "more than 1"),
        ("O1 O . 0 0", "label type_symbol fract_x fract_y fract_z", "coordinate of site O1 is unknown"),
        ("O1 O 0 ? 0", "label type_symbol fract_x fract_y fract_z", "coordinate of site O1 is unknown"),
        ("HO1 0 0 0", "label fract_x fract_y fract_z", r"ambiguous \(H or Ho\)"),
        ("Nb/Zr 0 0 0", "label fract_x fract_y fract_z", "several elements"),
        ("M1 Nb/Zr 0 0 0", "label type_symbol fract_x fract_y fract_z", "several elements"),
        ("Wat1 0 0 0", "label fract_x fract_y fract_z", "names no chemical element"),
        ("VAC 0 0 0", "label fract_x fract_y fract_z", "names no chemical element"),
        ("X1 Vac 0 0 0", "label type_symbol fract_x fract_y fract_z", "no chemical element"),
        ("O1 O 0 0 0 1 1", OCCUPIED + " disorder_group", "is disordered"),
        ("O1 O 0 0 0 A", "label type_symbol fract_x fract_y fract_z disorder_assembly", "is disordered"),
        ("O1 O 0 0 0 2", "label type_symbol fract_x fract_y fract_z attached_hydrogens", "counted but not listed"),
        ("O1 O 0 0 0", "label type_symbol Cartn_x Cartn_y Cartn_z", "only cartesian"),
        ("O1 O 0 0 0\nN1 N 1 0 0", "label type_symbol fract_x fract_y fract_z", "O1 and N1 are on one place"),
        ("O1 O 0 0 0\nO2 O 1 0 0", "label type_symbol fract_x fract_y fract_z", "listed twice"),
        ("O1 O 0 0 0 0 0 1.5", "label type_symbol fract_x fract_y fract_z moment_crystalaxis_x "
         "moment_crystalaxis_y moment_crystalaxis_z", "magnetic moments"),
    ],
)  # fmt: skip
def test_sites_that_are_refused(rows: str, columns: str, reason: str) -> None:
    with pytest.raises(CrystalError, match=reason):
        parse_cif("data_x\n" + group("P 1") + cell(5, 5, 5) + sites(rows, columns))


@pytest.mark.parametrize("occupancy", [".", "0.99999", "1.0(2)", "1"])
def test_full_occupancy_in_other_words(occupancy: str) -> None:
    (crystal,) = parse_cif("data_x\n" + group("P 1") + cell(4, 4, 4) + sites(f"O1 O 0 0 0 {occupancy}", OCCUPIED))
    assert contents(crystal) == {"O": 1}


@pytest.mark.parametrize(
    ("label", "formula", "expected"),
    [("HO1", "H2", "H"), ("HO1", "Ho", "Ho"), ("CA1", "Ca", "Ca"), ("OW", "", "O"), ("Ca2", "", "Ca"), ("D1", "", "H")],
)
def test_labels_without_a_type(label: str, formula: str, expected: str) -> None:
    stated = f"_chemical_formula_sum '{formula}'\n" if formula else ""
    columns = "label fract_x fract_y fract_z"
    (crystal,) = parse_cif("data_x\n" + group("P 1") + stated + cell(4, 4, 4) + sites(f"{label} 0 0 0", columns))
    assert contents(crystal) == {expected: 1}


def test_blocks_of_one_name_and_a_bad_one_among_them() -> None:
    head = "data_image0\n" + group("P 1") + cell(3.9, 3.9, 3.9)
    good = head + PEROVSKITE
    cut = head + sites("Sr1 Sr 0 0 0\nTi1 Ti 0.5 0.5")
    text_that_never_ends = head + "_note\n;\nthis text has no end\n"
    publication = "data_global\n_publ_author_name 'N. N.'\n"
    found = crystals_of_cif(publication + good + cut + good + text_that_never_ends + good)
    assert [isinstance(outcome, Refused) for outcome in found] == [False, True, False, True, False]
    assert isinstance(found[1], Refused)
    assert "image0" in found[1].reason
    assert "cut off" in found[1].reason
    with pytest.raises(CrystalError, match="image0"):
        parse_cif(good + cut)
    long = "data_" + "x" * 200 + good[len("data_image0") :]
    assert len(parse_cif(long + good)) == 2


def test_a_magnetic_cif_without_moments() -> None:
    text = "data_x\nloop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,-1\n" \
        "loop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\nx+1/2,y+1/2,z+1/2,-1\n"  # fmt: skip
    (crystal,) = parse_cif(text + cell(5, 6, 7) + sites("Fe1 Fe 0.1 0.2 0.3"))
    assert contents(crystal) == {"Fe": 4}


def test_the_density_finds_a_wrong_reading() -> None:
    text = "data_x\n" + group("P 1") + "_exptl_crystal_density_diffrn 2.16\n" + cell(5.64, 5.64, 5.64) + NACL
    with pytest.raises(CrystalError, match=r"density of 0\.54 g/cm³, but the file states 2\.16"):
        parse_cif(text)


def test_a_file_without_any_symmetry_lists_all_sites_and_that_is_noted() -> None:
    (crystal,) = parse_cif("data_x\n" + cell(3.9, 3.9, 3.9) + PEROVSKITE)
    assert contents(crystal) == {"Sr": 1, "Ti": 1, "O": 3}
    assert "no symmetry is stated" in crystal.note
    with pytest.raises(CrystalError, match="multiplicities of sites"):
        parse_cif("data_x\n" + cell(5, 5, 5) + sites("Na1 Na 0 0 0 4", "label type_symbol fract_x fract_y fract_z "
                                                     "symmetry_multiplicity"))  # fmt: skip


@pytest.mark.parametrize(("formula", "units", "accepted"), [
    ("Na Cl", 1, True), ("Na1 Cl1", 1, True), ("Na Cl", 4, False), ("Na2 Cl2", 2, False),
])  # fmt: skip
def test_formula_units_in_the_cell(formula: str, units: int, accepted: bool) -> None:
    stated = f"_chemical_formula_sum '{formula}'\n_cell_formula_units_Z {units}\n"
    text = "data_x\n" + group("P 1") + stated + cell(5, 5, 5) + NACL
    assert isinstance(crystals_of_cif(text)[0], Crystal) == accepted


@pytest.mark.parametrize(("elements", "formula", "units"), [("ClCl", "Cl2", 1), ("OOOO", "O4", 2), ("CCCC", "C4", 4)])
def test_the_content_of_the_cell_as_formula(elements: str, formula: str, units: int) -> None:
    symbols = re.findall("[A-Z][a-z]?", elements)
    rows = "\n".join(f"{symbol}{i} {symbol} 0 0 {i / len(symbols)}" for i, symbol in enumerate(symbols))
    stated = f"_chemical_formula_sum {formula}\n_cell_formula_units_Z {units}\n"
    (crystal,) = parse_cif("data_x\n" + group("P 1") + stated + cell(9, 9, 9) + sites(rows))
    assert len(crystal.numbers) == len(symbols)
    lithia = "\n".join(f"{s}{i} {s} 0 {j / 2} {i / 4}" for i in range(4) for j, s in enumerate(("Li", "O")))
    stated = "_chemical_formula_sum 'Li4 O4'\n_cell_formula_units_Z 2\n"
    assert len(parse_cif("data_x\n" + group("P 1") + stated + cell(9, 9, 9) + sites(lithia))[0].numbers) == 8
