"""Crystals of known magnetic order, and crystals that are not ordered."""

from __future__ import annotations

from aiida import orm
from aiida_quantumespresso.data.hubbard_structure import HubbardStructureData
from pymatgen.core import Lattice, Structure


def from_pymatgen(structure: Structure) -> orm.StructureData:
    """Return a structure as an unstored node."""
    return orm.StructureData(pymatgen=structure)


def iron(kinds: tuple[str, str] = ("Fe", "Fe"), a: float = 2.87) -> orm.StructureData:
    """Return body-centred cubic iron in its cubic cell."""
    node = orm.StructureData(cell=[[a, 0, 0], [0, a, 0], [0, 0, a]])
    for kind, x in zip(kinds, (0.0, a / 2), strict=True):
        node.append_atom(position=(x, x, x), symbols="Fe", name=kind)
    return node


def nickel_oxide(kinds: tuple[str, str] = ("Ni1", "Ni2"), n: float = 4.17, symbol: str = "Ni") -> orm.StructureData:
    """Return rock-salt NiO, or of another metal, in the rhombohedral cell of its order along [111]."""
    node = orm.StructureData(cell=[[n, n / 2, n / 2], [n / 2, n, n / 2], [n / 2, n / 2, n]])
    for kind, x in zip(kinds, (0.0, n), strict=True):
        node.append_atom(position=(x, x, x), symbols=symbol, name=kind)
    for x in (n / 2, 3 * n / 2):
        node.append_atom(position=(x, x, x), symbols="O")
    return node


def with_u(structure: orm.StructureData, *kinds: str, u: float = 5.0) -> HubbardStructureData:
    """Return a crystal with U on the 3d shell of some kinds."""
    dressed = HubbardStructureData.from_structure(structure)
    for kind in kinds:
        dressed.initialize_onsites_hubbard(kind, "3d", u, "U", use_kinds=True)
    return dressed


def rock_salt(metal: str, anion: str = "O", a: float = 4.2) -> orm.StructureData:
    """Return the primitive cell of a rock salt."""
    whole = Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]])
    return from_pymatgen(whole.get_primitive_structure())


def disordered(symbols: str, weights: list[float], a: float = 2.87) -> orm.StructureData:
    """Return one site that elements share, or that is partly empty."""
    node = orm.StructureData(cell=[[a, 0, 0], [0, a, 0], [0, 0, a]])
    node.append_atom(position=(0, 0, 0), symbols=symbols.split(), weights=weights)
    return node
