"""The ground state of every element, as formation energies take it.

Metals and semiconductors come in their structures at ambient pressure: from the tables of ASE, or, where those have
none, from the AFLOW prototypes of pymatgen (Mehl et al., Comput. Mater. Sci. 136, S1 (2017),
doi:10.1016/j.commatsci.2017.01.017). Gases of two atoms are molecules in a box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.core import Structure

MOLECULES = {"H": (0.74, 0), "N": (1.10, 0), "O": (1.21, 2), "F": (1.41, 0), "Cl": (1.99, 0)}
"""Element -> bond length (Å) and unpaired electrons of its molecule of two atoms."""
BOX = (7.6, 7.8, 8.0)
"""Å, of a molecule; three different edges, so that no symmetry of the box holds its levels together."""
PROTOTYPES = {
    "B": "A_hR12_166_2h", "Ga": "A_oC8_64_f:Ga", "I": "A_oC8_64_f:I", "Mn": "A_cI58_217_ac2g", "P": "A_oC8_64_f:P",
    "Pa": "A_tI2_139_a:Pa", "S": "A_oF128_70_4h", "Se": "A_hP3_152_a", "Te": "A_hP3_152_a", "C": "A_hP4_194_bc",
}  # fmt: skip
"""Element -> AFLOW name, with the element after a colon where several crystals share the name."""
TELLURIUM = {"a": 4.457, "c": 5.927}  # Å; of the helical chains only selenium is in the library
MAGNETIC = {"Fe": 2.2, "Co": 1.7, "Ni": 0.6, "Cr": 0.0, "Mn": 0.0, "Gd": 7.0}
"""Bohr magnetons an atom of the ferromagnetic metals; what antiferromagnets do to an energy is below 0.02 eV/atom."""


class NoGroundStateError(ValueError):
    """No structure is known of an element; the message says what to do."""


@dataclass(frozen=True)
class Ground:
    """The ground state of an element.

    :param structure: primitive crystal, or the molecule in its box.
    :param molecule: whether it is a molecule: its sites are relaxed, its box is not.
    :param magnetisation: Bohr magnetons an atom to begin with.
    """

    structure: Structure
    molecule: bool
    magnetisation: float


def ground_state(symbol: str) -> Ground:
    """Return the ground state of an element.

    :raises NoGroundStateError: none is known.
    """
    from pymatgen.core import Element, Lattice, Structure
    from pymatgen.io.ase import AseAtomsAdaptor

    if not Element.is_valid_symbol(symbol):
        raise NoGroundStateError(f"{symbol!r} is no element")
    if symbol in MOLECULES:
        bond, unpaired = MOLECULES[symbol]
        middle = [edge / 2 for edge in BOX]
        sites = [[*middle[:2], middle[2] + sign * bond / 2] for sign in (-1, 1)]
        structure = Structure(Lattice.orthorhombic(*BOX), [symbol] * 2, sites, coords_are_cartesian=True)
        return Ground(structure, True, unpaired / 2)
    if symbol in PROTOTYPES:
        structure = _prototype(symbol)
    else:
        from ase.build import bulk

        try:
            structure = AseAtomsAdaptor.get_structure(bulk(symbol))
        except (ValueError, RuntimeError, TypeError, KeyError) as exception:
            raise NoGroundStateError(
                f"the ground state of {symbol} is not in the tables ({exception}); give its structure as a phase"
            ) from exception
    structure = Structure(structure.lattice, structure.species, structure.frac_coords)  # without notes of the source
    return Ground(structure, False, MAGNETIC.get(symbol, 0.0))


def _prototype(symbol: str) -> Structure:
    """Return the crystal of an element from the AFLOW prototypes."""
    from pymatgen.core import Lattice

    from .prototypes import library

    name, _, holder = PROTOTYPES[symbol].partition(":")
    found = next(p for p in library() if p.aflow == name and holder in ("", p.structure.composition.reduced_formula))
    structure = found.structure.copy()
    structure.replace_species({str(element): symbol for element in structure.composition.elements})
    if symbol == "Te":
        structure.lattice = Lattice.hexagonal(TELLURIUM["a"], TELLURIUM["c"])
    return structure
