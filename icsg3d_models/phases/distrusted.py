"""Prototypes of pymatgen's library whose coordinates cannot be those of the crystal that they are named after.

Oxygens of its anatase, for one, lay an eighth of the cell off, and what came of it was compared with as anatase. By the
forces that chgnet finds in them; ``python benchmarks/references/prototype_forces.py`` prints the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure

LARGEST = 3.0
"""eV/Å on a site, above which a measured crystal is not believed; the median over the library is 0.2."""

DISTRUSTED: dict[tuple[str, str], float] = {
    ("AB2_oF72_43_ab_3b", "GeS2"): 74.4,
    ("ABC_oP6_59_a_a_a", "CNCl"): 61.1,
    ("AB2_hP24_194_ef_fgh", "MgNi2"): 55.4,
    ("AB_mP4_11_e_e", "TiNi"): 26.8,
    ("A5B2_hR7_166_a2c_c", "B5Mo2"): 19.3,
    ("AB_cP8_198_a_a", "CO"): 12.1,
    ("A2B_oP24_61_2c_c", "TiO2"): 10.5,  # brookite
    ("A2B_oP12_19_2a_a", "Ag2Se"): 8.9,
    ("AB_oP8_62_c_c", "FeB"): 8.8,
    ("AB_mC8_15_c_e", "CuO"): 6.3,  # tenorite
    ("A2B_hP18_180_fi_bd", "Mg2Ni"): 5.4,
    ("AB4C_tI12_82_c_g_a", "BPO4"): 5.1,
    ("A2B_mC48_15_ae3f_2f", "SiO2"): 4.7,  # coesite
    ("AB3_hR8_155_c_de", "AlF3"): 4.4,
    ("AB2_oI6_71_a_g", "MoPt2"): 4.0,
    ("A3BC_tP5_99_bc_a_b", "ZrPbO3"): 3.7,
    ("AB_hR16_148_cf_cf", "HC"): 3.5,
    ("AB_hP4_186_b_a", "BN"): 3.4,
    ("ABC6D2_mC40_15_e_e_3f_f", "CaFe(SiO3)2"): 3.4,
    ("ABC_cP12_198_a_a_a", "NiSbS"): 3.1,
    ("A2B_mP12_3_bc3e_2e", "SiO2"): 3.1,
}
"""AFLOW name and formula -> largest force, eV/Å; compounds only: molecular crystals of elements are no reference."""


def anatase() -> Structure:
    """Return anatase in place of the library's, whose oxygens are an eighth of c off: titanium had four neighbours.

    Howard et al., Acta Cryst. B 47, 462 (1991), 10.1107/S010876819100335X.
    """
    from pymatgen.core import Lattice, Structure

    sites = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.2081]]  # origin at titanium
    conventional = Structure.from_spacegroup("I4_1/amd", Lattice.tetragonal(3.785, 9.514), ["Ti", "O"], sites)
    return conventional.get_primitive_structure()


REPAIRED = {("A2B_tI12_141_e_a", "TiO2"): anatase}
"""Those that are known better."""
