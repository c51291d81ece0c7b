"""Structures of competing phases as nodes: where they come from stays in the provenance."""

from __future__ import annotations

from aiida import orm
from aiida.engine import calcfunction


@calcfunction
def element_structure(symbol: orm.Str) -> orm.StructureData:
    """Return the ground state of an element.

    :raises icsg3d_models.phases.elemental.NoGroundStateError: none is known.
    """
    from icsg3d_models.phases.elemental import ground_state

    return orm.StructureData(pymatgen=ground_state(symbol.value).structure)


@calcfunction
def prototype_structure(formula: orm.Str, number: orm.Int) -> orm.StructureData:
    """Return a compound as it was measured.

    :param number: in the list of :func:`icsg3d_models.phases.prototypes.structures_of`, measured ones only.
    """
    from icsg3d_models.phases.prototypes import structures_of

    chosen = structures_of(formula.value, measured=True)[number.value]
    structure = orm.StructureData(pymatgen=chosen.structure)
    structure.label = f"{formula.value}, {chosen.prototype.mineral} ({chosen.prototype.aflow})"
    return structure
