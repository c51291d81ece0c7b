"""Crystals before they are relaxed: what cannot be taken, and sites moved onto the symmetry that nearly holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from .errors import CrystalError


def check_ordered(structure: orm.StructureData) -> None:
    """Refuse what no engine can relax as one crystal.

    :raises CrystalError: sites shared by elements, or partly empty.
    """
    for kind in structure.kinds:
        if kind.is_alloy or kind.has_vacancies:
            parts = ", ".join(f"{s} {w:g}" for s, w in zip(kind.symbols, kind.weights, strict=True))
            word = "shared" if kind.is_alloy else "partly empty"
            raise CrystalError(
                f"the site {kind.name} is {word} ({parts}); a relaxation needs one element on each site: make ordered "
                "crystals of it first"
            )


@calcfunction
def symmetrise_structure(structure: orm.StructureData, precision: orm.Float) -> orm.StructureData:
    """Return the primitive cell with the sites moved onto the symmetry that holds within a tolerance.

    Sites of different kinds (Fe1 and Fe2 of a magnetic order) are told apart, and kinds, masses and on-site Hubbard
    terms are kept. A crystal that is not periodic along all axes, and one with Hubbard terms between sites, which name
    sites by their number, is returned as it is.

    :param structure: any ordered crystal.
    :param precision: spglib's ``symprec`` in Å.
    """
    return symmetrised(structure, precision.value)


def symmetrised(structure: orm.StructureData, precision: float) -> orm.StructureData:
    """Do what :func:`symmetrise_structure` does, without provenance.

    :raises CrystalError: sites shared by elements, or partly empty.
    """
    import spglib

    check_ordered(structure)
    terms = hubbard_by_kind(structure)
    if not all(structure.pbc) or terms is None:
        return structure.clone()
    kinds = sorted(structure.get_kind_names())
    lattice = np.array(structure.cell)
    fractions = np.array([site.position for site in structure.sites]) @ np.linalg.inv(lattice)
    colours: Any = [kinds.index(site.kind_name) + 1 for site in structure.sites]
    found = spglib.standardize_cell(
        (structure.cell, fractions.tolist(), colours), to_primitive=True, no_idealize=False, symprec=precision
    )
    if found is None:  # sites closer together than the tolerance: leave them as they are
        return structure.clone()
    cell, positions, numbers = np.array(found[0]), np.array(found[1]), found[2]
    made = orm.StructureData(cell=cell.tolist())
    placed = [(structure.get_kind(kinds[n - 1]), p) for n, p in zip(numbers, positions @ cell, strict=True)]
    for kind, position in sorted(placed, key=lambda entry: order(entry[0])):
        made.append_atom(position=position.tolist(), symbols=kind.symbol, name=kind.name, mass=kind.mass)
    return with_hubbard_terms(made, structure, terms) if terms else made


def order(kind: Any) -> tuple[float, str]:
    """Return a key that sorts sites as pymatgen writes formulas, by electronegativity; noble gases come last."""
    from pymatgen.core import Element

    value = Element(kind.symbol)._data.get("X")
    return value if isinstance(value, float) else np.inf, kind.name


def hubbard_by_kind(structure: orm.StructureData) -> dict[str, list[Any]] | None:
    """Return kind -> its on-site Hubbard terms, {} where there are none; None: some are between sites."""
    hubbard = getattr(structure, "hubbard", None)
    terms: dict[str, list[Any]] = {}
    for term in hubbard.parameters if hubbard is not None else ():
        if term.atom_index != term.neighbour_index or any(term.translation):
            return None
        terms.setdefault(structure.sites[term.atom_index].kind_name, []).append(term)
    return terms


def with_hubbard_terms(
    made: orm.StructureData, structure: orm.StructureData, terms: dict[str, list[Any]]
) -> orm.StructureData:
    """Return a structure with the on-site Hubbard terms of another one.

    :param terms: kind -> terms, of kinds that both structures have.
    """
    from aiida_quantumespresso.data.hubbard_structure import HubbardStructureData

    given: Any = structure
    dressed = HubbardStructureData.from_structure(made)
    dressed.hubbard = given.hubbard.model_copy(update={"parameters": []})
    for kind, entries in terms.items():
        for term in entries:
            dressed.initialize_onsites_hubbard(kind, term.atom_manifold, term.value, term.hubbard_type, use_kinds=True)
    return dressed
