"""Energies that this profile holds already, found by their settings."""

from __future__ import annotations

from collections.abc import Iterable

from aiida import orm

from .ancestry import MAKE_CRYSTALS, coming_from
from .fingerprint import Settings


def elements_of(formula: str) -> set[str]:
    """Return the elements of a formula."""
    from pymatgen.core import Composition

    return {str(element) for element in Composition(formula).elements}


def generated_ones(energies: Iterable[orm.Dict]) -> set[int]:
    """Return the PKs of the energies whose crystal was generated: it comes from a job that rebuilt it."""
    pks = {node.pk for node in energies if node.pk is not None}
    return coming_from(pks, lambda process_type, _: process_type in MAKE_CRYSTALS)


def known_energies(settings: Settings, elements: Iterable[str]) -> list[orm.Dict]:
    """Return the energies of crystals of these elements that were computed with the same settings, oldest first.

    Of several energies of one formula all are returned: which is the lowest is for the hull to say.

    :param settings: what an energy of the campaign has.
    """
    allowed = set(elements)
    query = orm.QueryBuilder().append(
        orm.Dict, filters={"attributes.settings_hash": settings.hash, "attributes": {"has_key": "energy_per_atom_eV"}}
    )
    found = []
    for node in sorted(query.all(flat=True), key=lambda one: one.pk or 0):
        content = node.get_dict()
        if "formula" not in content or not elements_of(content["formula"]) <= allowed:
            continue
        if not settings.differences(Settings.from_dict(content["settings"])):  # of pseudopotentials, element by element
            found.append(node)
    return found
