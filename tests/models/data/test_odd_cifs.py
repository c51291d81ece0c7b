"""Odd spellings by the dozen: each is read as it was meant (a formula), or refused (REFUSED). Never anything else."""

from __future__ import annotations

from collections import Counter

import pytest

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.data.cif import parse_cif

from .test_cif import OCCUPIED, cell, group, sites

REFUSED = "refused"
SHAPES = {
    "b": cell(25, 30, 35, 90, 100, 90), "c": cell(25, 30, 35, 90, 90, 100), "a": cell(25, 30, 35, 100, 90, 90),
    "ortho": cell(25, 30, 35), "tetra": cell(25, 25, 35), "hex": cell(25, 25, 35, 90, 90, 120),
    "cubic": cell(25, 25, 25), "rhombo": cell(25, 25, 25, 65, 65, 65),
}  # fmt: skip

# shape | names | multiplicity of the general position
NAMES = """
b | P 1 21/c 1; P 21/c; P 21/n; P21/a; P 1 21/a 1; P 2_1/c; P2(1)/c; P2~1~/c; P 2<sub>1</sub>/c; P 21/c :b1 | 4
b | C 1 2/c 1; C 2/c; I 2/a; A 2/n; C2/m; I 1 2/m 1 | 8
b | C 2; Cc; Ia; A n | 4
b | P 1 c 1; Pm; P 21; P 2₁ | 2
c | P 1 1 21/b; P 21/b; P 1 1 21/n; P 21/m; P 1 1 2/m | 4
c | B 1 1 2/b; B 2/b; I 1 1 2/b | 8
a | P 21/b 1 1; P 2/m 1 1 | 4
c | P 1 21/c 1 | refused
a | P 1 2/m 1 | refused
ortho | P n m a; Pnma; P b n m; P c m n; P n a m; P m c n; P m n b; P 21/n 21/m 21/a; P 21/b 21/n 21/m; PNMA | 8
ortho | C m c m; A m a m; B b m m; C m c e; C m c a; A b a m; B m a b; C m m e; C m m a; I b c a; I m m a; I m c m | 16
ortho | A e m 2; A b m 2; A e a 2; A b a 2; P c c n; P b c n; P n c a; C 2 c m; P 2/m 2/m 2/m | 8
ortho | P 2 21 21; P 21 2 21; P 2 2 21; P 21 21 21; P n a 21; P 21 m a | 4
ortho | F d d 2; F d 2 d; C c c e :2; F d d d :1; F d d d Z | 16 16 16 32 32
tetra | I 4/m m m; I 4/m 2/m 2/m; I 41/a m d S; I 41/A M D Z; I 41/a m d :1 | 32
tetra | P 42/m n m; P 4/n m m :2; P 4/m 2/m 2/m; P 4/n Z; I -4 2 d | 16 16 16 8 16
tetra | F 4/m m m | 64
tetra | C 4/m m m; P 4/n m m :3; P 3 2 1 | refused
hex | P 63/m m c; P6_3/mmc; P 63/m 2/m 2/c; P 6/m m m; P 6/m 2/m 2/m | 24
hex | P 3 2 1; P 31 2 1; P 3 1 2; P -3; P 63 | 6
hex | P -3 m 1; P -3 2/m 1; P -3 1 m; P -6 2 m; P 6/m | 12
hex | H 3 2; R 3 2; R 3 2 H; R 3 m H; R -3 :h; H -3 | 18
hex | R 3 m :R | refused
rhombo | R -3; R -3 R; R-3R; R -3 :r; R 3 2 | 6
rhombo | R -3 :H; R -3 H | refused
cubic | P a -3; Pa3; P 21/a -3; P A 3-; P m 3 | 24
cubic | I a -3 d; I a 3 d; I 41/a -3 2/d; Ia3d; I m 3 m; I 4/m -3 2/m | 96
cubic | F m 3 c; F m -3 m; F d -3 m :1; F d 3 m S; F D 3- M Z; F 41/d -3 2/m :2; F d -3 c :2 | 192
cubic | P 21 3; P 2 3; I m 3; I -4 3 m; P n -3 n :2; P n 3 n :1; F -4 3 m | 12 12 48 48 48 48 96
cubic | Q m 3 m; O_h^5; cubic; F d -3 m :7 | refused
"""


def names() -> list[tuple[str, str, str]]:
    found = []
    for line in NAMES.strip().splitlines():
        shape, spellings, content = (part.strip() for part in line.split("|"))
        listed = spellings.split("; ")
        numbers = content.split() if len(content.split()) > 1 else [content] * len(listed)
        found += [(shape, name, number) for name, number in zip(listed, numbers, strict=True)]
    return found


def outcome(text: str) -> str:
    """Return the formula of the only crystal, or that it is refused."""
    try:
        (crystal,) = parse_cif(text)
    except CrystalError:
        return REFUSED
    counts = Counter(SYMBOLS[z] for z in crystal.numbers)
    return " ".join(f"{symbol}{number}" for symbol, number in sorted(counts.items()))


@pytest.mark.parametrize(("shape", "name", "number"), names())
def test_a_name_alone(shape: str, name: str, number: str) -> None:
    text = "data_x\n" + group(name) + SHAPES[shape] + sites("Zr1 Zr 0.1137 0.2713 0.4391")
    assert outcome(text) == (REFUSED if number == REFUSED else f"Zr{number}")


@pytest.mark.parametrize(("kind", "texts", "expected"), [
    ("occupancy", ". 1 1.0 0.99999 0.9999(2) 1.00(3) 1.000", "O1"),
    ("occupancy", "? 0.5 0.98 0 -1 2 abc 0.33(1)", REFUSED),
    ("coordinate", "0.25(3) 1/4 1.25 -0.75 2.5e-1 .25 +0.25", "O1"),
    ("coordinate", ". ? abc nan inf 0,25 x", REFUSED),
    ("type", "Ti Ti4+ Ti+4 TI ti Ti0+ Ti1 Ti3.5+", "Ti1"),
    ("type", "Nb/Zr X M Vac OH H2O 22 CO NO (Nb,Zr) Cval Nb0.5Zr0.5 dummy Zz Ti*", REFUSED),
    ("label", "O1 OW Ow1 O1A O(1) O_a O", "O1"),
    ("label", "Fe1 Fe2+ FeA Fe", "Fe1"),
    ("label", "D1 H1 Hw", "H1"),
    ("label", "HO1 CA1 FE1 CL1 SI1 NO1 Nb/Zr Wat WAT1 VAC1 X1 M1 Du1 1O Oct1 Tet1 Va1 Nb0.5Zr0.5", REFUSED),
])  # fmt: skip
def test_words_of_a_site(kind: str, texts: str, expected: str) -> None:
    rows = {
        "occupancy": ("O1 O 0 0 0 {}", OCCUPIED),
        "coordinate": ("O1 O {} 0 0", "label type_symbol fract_x fract_y fract_z"),
        "type": ("Q1 {} 0 0 0", "label type_symbol fract_x fract_y fract_z"),
        "label": ("{} 0 0 0", "label fract_x fract_y fract_z"),
    }
    row, columns = rows[kind]
    head = "data_x\n" + group("P 1") + cell(4, 4, 4)
    found = {text: outcome(head + sites(row.format(text), columns)) for text in texts.split()}
    assert found == dict.fromkeys(found, expected)


TRIPLETS = {
    "'x,y,z' '-x,-y,-z'": "Na2",
    "X,Y,Z -X,-Y,-Z": "Na2",
    "x,y,z x+0.5,y+.5,z": "Na2",
    "x,y,z 1/2+x,1/2+y,z": "Na2",
    "x,y,z x,y,z -x,-y,-z": "Na2",
    "x,y,z foo": REFUSED,
    "x,y,z -x,-y": REFUSED,
    "-x,-y,-z": REFUSED,
    "x,y,z -x,-y,z x,-y,-z": REFUSED,
    "x,y,z -y,x-y,z -x+y,-x,z": REFUSED,
    "x,y,z x,y,z+1/7": REFUSED,
    "x,y,z 2x,y,z": REFUSED,
}


@pytest.mark.parametrize("tag", ["_symmetry_equiv_pos_as_xyz", "_space_group_symop.operation_xyz"])
@pytest.mark.parametrize(("triplets", "expected"), TRIPLETS.items())
def test_operations_in_words(tag: str, triplets: str, expected: str) -> None:
    listed = f"loop_\n{tag}\n" + "\n".join(triplets.split()) + "\n"
    assert outcome("data_x\n" + listed + cell(5, 5, 5) + sites("Na1 Na .1 .2 .3")) == expected


ROCK_SALT = "data_x\n" + group("F m -3 m") + cell(5.64, 5.64, 5.64) + sites("Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5")


@pytest.mark.parametrize("change", [
    lambda t: "\ufeff" + t,
    lambda t: t.replace("\n", "\r\n"),
    lambda t: t.replace("\n", "\r"),
    lambda t: t.replace("data_x", "DATA_X").replace("loop_", "LOOP_"),
    lambda t: "#\\#CIF_1.1\n# a comment\n" + t,
    lambda t: t + "_refine_special_details\n;\ndata_fake\nloop_\n;\n",
    lambda t: t.rstrip(),
    lambda t: t.replace("5.64", "5.640(2)"),
    lambda t: t.replace("'F m -3 m'", "\n;\nF m -3 m\n;"),
    lambda t: t.replace("Na1 Na 0 0 0", "'Na1' 'Na' '0' \"0\" 0"),
    lambda t: t + "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\nNa1 0.01\n",
    lambda t: t + "_chemical_formula_sum 'Na Cl'\n_cell_formula_units_Z 4\n_cell_volume 179.4\n",
    lambda t: t + "_exptl_crystal_density_diffrn 2.16\n",
    lambda t: t + "_chemical_formula_sum '2(Na Cl)'\n",
])  # fmt: skip
def test_a_file_said_in_other_words(change, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from icsg3d_models.data.readers import read_crystals_from

    (tmp_path / "x.cif").write_bytes(change(ROCK_SALT).encode())
    assert Counter(read_crystals_from(tmp_path / "x.cif").numbers.tolist()) == {11: 4, 17: 4}
